# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measure unique prototypes at one, four and all epsilons."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from _harness import Report, get_parser, interleave, parse, positive
from _memory import peak_memory_in_subprocess

from pauc_mm.evaluation.functional import CURVE_EPSILONS, unique_prototypes

EPSILONS = (0.025, 0.1, 0.25, 0.5)
FOUR = 'unique_prototypes(), four epsilons'
CLUSTERS = 2000


def make_data(kind, number, dim, seed, device):
    """Return prototypes (K, D), float32.

    Args:
        kind (str): 'unique': random directions, the most work, since all are
            kept. 'clustered': around 2,000 directions, more or less tightly,
            so that each epsilon keeps another set. 'collapsed': the same with
            20 directions.
        number (int): K.
        dim (int): D.
        seed (int): Of the draws.
        device (str): Where they are put.
    """
    generator = torch.Generator().manual_seed(seed)
    points = F.normalize(torch.randn(number, dim, generator=generator), dim=1)
    if kind != 'unique':
        most = CLUSTERS if kind == 'clustered' else CLUSTERS // 100
        centers = min(most, max(number // 10, 1))
        centers = F.normalize(
            torch.randn(centers, dim, generator=generator), dim=1
        )
        own = torch.randint(len(centers), (number,), generator=generator)
        # Cosine distances within a cluster from 1e-4 to 0.75, or to 0.1.
        size = torch.empty(len(centers), 1).uniform_(
            -2, 0.25 if kind == 'clustered' else -0.5, generator=generator
        )
        points = centers[own] + 10 ** size[own] * points
    return points.to(device)


def one_by_one(points):
    """Run once for each of the four epsilons."""
    return {
        epsilon: unique_prototypes(points, (epsilon,))[epsilon]
        for epsilon in EPSILONS
    }


def four(points):
    """Run once for all four epsilons."""
    return unique_prototypes(points, EPSILONS)


ALTERNATIVES = {
    'a run for each of four epsilons': one_by_one,
    FOUR: four,
    'the curve, 22 epsilons': functools.partial(
        unique_prototypes, epsilons=CURVE_EPSILONS
    ),
}


def main(argv=None):
    """Measure and print."""
    parser = get_parser(__doc__, repeats=1)
    # A run takes so long that a warm-up would not matter.
    parser.set_defaults(warmup=0)
    add = parser.add_argument
    add('--prototypes', type=positive, default=65536, help='K')
    add('--dim', type=positive, default=256)
    args = parse(parser, argv)
    if args.small:
        args.prototypes, args.dim = 1500, 16
    report = Report('Unique prototypes', args)
    report.note(
        f'K = {args.prototypes}, D = {args.dim}, float32; the prototypes have '
        f'{4 * args.prototypes * args.dim / 2**20:.0f} MiB, which are not '
        'part of the peaks.'
    )
    for kind in ('unique', 'clustered', 'collapsed'):
        shape = (args.dim, args.seed, args.device)
        data = make_data(kind, args.prototypes, *shape)
        shares = four(data)
        if shares != one_by_one(data):
            raise RuntimeError('The epsilons are not independent.')
        timings = interleave(
            {
                name: functools.partial(run, data)
                for name, run in ALTERNATIVES.items()
            },
            args.repeats,
            args.warmup,
            args.device,
            progress=kind,
        )
        del data
        peak = {}
        if kind == 'unique' and not args.skip_memory:
            peak[FOUR] = peak_memory_in_subprocess(
                make_data,
                four,
                kind,
                args.prototypes,
                *shape,
                warm_args=(kind, 200, *shape),
                threads=args.threads,
                small=args.small,
            )
        said = ', '.join(f'{e}: {share:.2%}' for e, share in shares.items())
        report.timings(f'{kind} ({said})', timings, FOUR, peak=peak)
    report.save()


if __name__ == '__main__':
    main()
