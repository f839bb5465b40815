# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Time NEMD against a loop over the pairs of groups with POT."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import torch
from _harness import Report, Timing, get_parser, interleave, parse, positive
from threadpoolctl import threadpool_limits  # comes with scikit-learn

from pauc_mm.evaluation.functional import nemd
from pauc_mm.evaluation.functional._transport import (
    Problem,
    solve_exact,
    solve_sinkhorn,
)
from pauc_mm.utils.require import require

EXACT = "nemd(solver='emd')"
AGREEMENT = 1e-6
MAX_ITER = 10000
# Noise of a coordinate: point-like groups, and nearly overlapping ones.
SPREADS = (0.02, 0.1)


def make_data(num_groups, members, dim, spread, seed):
    """Return groups around random directions, unit vectors (G, members, D)."""
    generator = torch.Generator().manual_seed(seed)
    shape = (num_groups, 1, dim)
    centers = torch.randn(shape, generator=generator, dtype=torch.float64)
    centers /= centers.norm(dim=2, keepdim=True)
    shape = (num_groups, members, dim)
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    points = centers + spread * noise
    return points / points.norm(dim=2, keepdim=True)


def ours(points, solver, reg, device):
    """Compute NEMD over all pairs of groups."""
    num_groups, members, _ = points.shape
    groups = torch.arange(num_groups).repeat_interleave(members)
    return nemd(
        points.flatten(0, 1).to(device),
        groups,
        num_pairs=None,
        num_members=members,
        solver=solver,
        reg=reg,
        max_iter=MAX_ITER,
    ).value


def loop(points, pairs, solve):
    """Compute the costs of the pairs one after another.

    In one thread, for matrices as small as these gain nothing from more.
    """
    ot = require('ot', 'POT', 'The benchmark')
    points = points.numpy()
    weights = np.full(points.shape[1], 1 / points.shape[1])
    costs = []
    with threadpool_limits(1, user_api='blas'):
        for i, j in pairs:
            cost = ot.dist(points[i], points[j], metric='euclidean')
            costs.append(solve(ot, weights, cost))
    return np.array(costs)


def emd2(ot, weights, cost):
    """Compute exact transport by POT."""
    return ot.emd2(weights, weights, cost)


def sinkhorn2(ot, weights, cost, reg):
    """Compute entropic transport by POT, in the log domain."""
    return ot.sinkhorn2(weights, weights, cost, reg, method='sinkhorn_log')


def scaled(timing, factor):
    """Extrapolate timings of some pairs to all."""
    return Timing([seconds * factor for seconds in timing.samples])


def accuracy(points, pairs, some, regs, device):
    """Return rows of name, mean cost, bias and difference to ot.emd2.

    Raises:
        RuntimeError: If our exact costs differ from those of POT.
    """
    members = points.shape[1]
    flat = points.flatten(0, 1)
    problems = [
        Problem(pair, [torch.arange(members) + g * members for g in pair])
        for pair in pairs
    ]
    truth = loop(points, pairs, emd2)
    got = {EXACT: solve_exact(flat, problems).numpy()}
    worst = abs(got[EXACT] - truth).max()
    if not worst < AGREEMENT:
        raise RuntimeError(f'{EXACT} differs from ot.emd2 by {worst}.')
    for reg in regs:
        got[_batched(reg)] = solve_sinkhorn(
            flat.to(device), problems, reg, MAX_ITER, batch_size=256
        ).numpy()
    reg = regs[-1]
    got[f'ot.sinkhorn2 at {reg}, {len(some)} pairs'] = loop(
        points, some, functools.partial(sinkhorn2, reg=reg)
    )
    rows = []
    for name, costs in got.items():
        exact = truth[: len(costs)]
        bias = costs.mean() / exact.mean() - 1
        most = abs(costs - exact).max()
        rows.append(
            [name, f'{costs.mean():.6f}', f'{bias:+.2%}', f'{most:.1e}']
        )
    return rows


def _batched(reg):
    return f"nemd(solver='sinkhorn', reg={reg})"


def main(argv=None):
    """Measure and print."""
    parser = get_parser(__doc__, repeats=5)
    add = parser.add_argument
    add('--groups', type=positive, default=64, help='all pairs are measured')
    add('--members', type=positive, default=64, help='of a group')
    add('--dim', type=positive, default=128)
    add(
        '--sinkhorn-pairs',
        type=positive,
        default=100,
        metavar='N',
        help='pairs that the loop of ot.sinkhorn2 is timed on; its time is '
        'scaled to all',
    )
    add('--reg', type=float, default=0.05, help='of the loop of ot.sinkhorn2')
    args = parse(parser, argv)
    if args.small:
        args.groups, args.members, args.dim = 6, 8, 16
        args.sinkhorn_pairs = 4
    if args.groups < 2:
        parser.error('--groups must be >= 2: NEMD compares groups.')
    if not args.reg > 0:
        parser.error(f'--reg must be > 0, not {args.reg}.')
    pairs = list(itertools.combinations(range(args.groups), 2))
    # Spread over all pairs, as the first ones share a group.
    np.random.default_rng(args.seed).shuffle(pairs)
    pairs = [tuple(int(g) for g in pair) for pair in pairs]
    some = pairs[: args.sinkhorn_pairs]
    factor = len(pairs) / len(some)
    slow = f'loop of ot.sinkhorn2 at {args.reg}'
    report = Report('NEMD', args)
    report.note(
        f'{len(pairs)} pairs of {args.groups} groups with {args.members} '
        f'members each, in {args.dim} dimensions. {slow[0].upper()}{slow[1:]} '
        f"(method='sinkhorn_log') is timed on {len(some)} of the pairs, and "
        f'its time multiplied by {factor:.4g}. The loops are given unit '
        'vectors in float64.'
    )
    regs = sorted({0.01, args.reg})
    for spread in SPREADS:
        data = make_data(
            args.groups, args.members, args.dim, spread, args.seed
        )
        rows = accuracy(data, pairs, some, regs, args.device)
        entropic = functools.partial(sinkhorn2, reg=args.reg)
        alternatives = {
            slow: functools.partial(loop, data, some, entropic),
            'loop of ot.emd2': functools.partial(loop, data, pairs, emd2),
            EXACT: functools.partial(ours, data, 'emd', args.reg, 'cpu'),
        }
        for reg in regs:
            alternatives[_batched(reg)] = functools.partial(
                ours, data, 'sinkhorn', reg, args.device
            )
        timings = interleave(
            alternatives,
            args.repeats,
            args.warmup,
            args.device,
            progress=f'spread={spread}',
        )
        timings[slow] = scaled(timings[slow], factor)
        title = f'groups of spread {spread} a coordinate'
        report.timings(f'Time, {title}', timings, slow, faster=True)
        report.table(
            f'Against ot.emd2 on the same pairs, {title}',
            ['', 'mean cost', 'bias of the mean', 'largest difference'],
            rows,
        )
    report.save()


if __name__ == '__main__':
    main()
