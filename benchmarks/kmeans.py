# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Compare k-means of the E-step: settings, and one process with several.

The embeddings are real: MNIST views through the momentum encoder of a PCL
run, after successive epochs. A warm start goes through all of these epochs,
as in training, and is compared at the last one, where errors would have
added up. The objective is the mean squared distance to the centroid.
`--parts shards` compares FaissKMeans in one process with ShardedKMeans in one
and in several, from the same centroids and with as many iterations.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time

import numpy as np
import torch
from _embeddings import successive_embeddings
from _harness import (
    Report,
    get_parser,
    interleave,
    parse,
    positive,
    say,
    synchronize,
)
from _processes import Group

from pauc_mm.clustering import FaissKMeans, ShardedKMeans
from pauc_mm.utils import Shard

OFFICIAL = 'official: 5 x 20 iterations from scratch'
ONCE = 'one run of 20 iterations from scratch'


def main(argv=None) -> None:
    """Measure and print."""
    parser = get_parser(__doc__, repeats=1)
    parser.set_defaults(warmup=0)
    add = parser.add_argument
    add('--num', type=positive, default=126689, help='N, embeddings')
    add('--dim', type=positive, default=128, help='D, their dimension')
    add(
        '--clusters',
        type=positive,
        nargs='+',
        default=[2500, 5000, 10000],
        metavar='K',
        help='K of each clustering',
    )
    add('--epochs', type=positive, default=4, help='successive E-steps')
    add('--warm-iterations', type=positive, nargs='+', default=[5, 10])
    add(
        '--parts',
        nargs='+',
        choices=['settings', 'shards'],
        default=['settings', 'shards'],
        help='what to compare',
    )
    add('--processes', type=positive, default=2, help='beside 1, for shards')
    add('--niter', type=positive, default=5, help='iterations, for shards')
    add('--also-once', action='store_true', help='one run of 20, too')
    add('--cache', metavar='FILE.npy', help='keeps the embeddings')
    args = parse(parser, argv)
    if args.small:
        args.num, args.dim, args.clusters = 600, 16, [10, 20]
    if args.epochs < 2:
        parser.error('--epochs: a warm start needs at least 2.')
    report = Report(
        f'k-means, N = {args.num}, D = {args.dim}, spherical', args
    )
    matrices = _matrices(args)
    report.note(
        'Cosine of the embeddings of one image in successive epochs: '
        + ', '.join(
            f'{float((a * b).sum(axis=1).mean()):.3f}'
            for a, b in zip(matrices, matrices[1:])
        )
    )
    device = 'gpu' if args.device == 'cuda' else 'cpu'
    if 'settings' in args.parts:
        for k in args.clusters:
            _compare(report, args, matrices, k, device)
    if 'shards' in args.parts:
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'embeddings.npy')
            np.save(path, matrices[-1])
            _compare_shards(report, args, path)
    report.save()


def _matrices(args) -> list[np.ndarray]:
    if args.cache and os.path.exists(args.cache):
        return list(np.load(args.cache))
    say('training PCL on MNIST for the embeddings')
    warmup, images = (2, 320) if args.small else (16, 4000)
    matrices = successive_embeddings(
        args.num, args.dim, warmup, args.epochs, args.seed, images
    )
    if args.cache:
        np.save(args.cache, np.stack(matrices))
    return matrices


def _compare(report, args, matrices, k: int, device: str) -> None:
    last = matrices[-1]
    official = FaissKMeans(niter=20, nredo=5, device=device)
    once = FaissKMeans(niter=20, nredo=1, device=device)
    results = {}

    def run(name, kmeans, init=None):
        def fit():
            results[name] = kmeans.fit(last, k, args.seed, init)

        return fit

    alternatives = {OFFICIAL: run(OFFICIAL, official)}
    if args.also_once:
        alternatives[ONCE] = run(ONCE, once)
    say(f'K = {k}: the E-steps before the last')
    first = once.fit(matrices[0], k, args.seed).centroids
    for niter in args.warm_iterations:
        warm = FaissKMeans(device=device, warm_niter=niter)
        init = first
        for matrix in matrices[1:-1]:
            init = warm.fit(matrix, k, args.seed, init).centroids
        name = f'warm start, {niter} iterations'
        alternatives[name] = run(name, warm, init)
    timings = interleave(
        alternatives, args.repeats, args.warmup, progress=f'K = {k}'
    )
    base = timings[OFFICIAL].median
    goal = results[OFFICIAL].objective
    report.table(
        f'K = {k}: E-step {len(matrices)}, medians of {args.repeats} run(s)',
        ['', 'seconds', 'times as fast', 'objective', 'difference'],
        [
            [
                name,
                timing.median,
                base / timing.median,
                f'{results[name].objective:.6f}',
                f'{100 * (results[name].objective / goal - 1):+.2f}%',
            ]
            for name, timing in timings.items()
        ],
    )


def work(kind, path, k, options):
    """Cluster a matrix here and in the other processes.

    Returns:
        tuple[float, float, float]: Seconds, those of the processor, and the
        objective.
    """
    matrix = np.load(path, mmap_mode='r')
    rng = np.random.default_rng(options['seed'])
    start = matrix[rng.choice(len(matrix), k, replace=False)]
    cuda = options['device'] == 'cuda'
    # Each draws a subset of its own, where there are more points than that.
    given = dict(warm_niter=options['niter'])
    given['max_points_per_centroid'] = len(matrix)
    if kind == 'FaissKMeans':
        rows = np.array(matrix)
        kmeans = FaissKMeans(**given, device='gpu' if cuda else 'cpu')
    else:
        rows = Shard.of(torch.from_numpy(np.array(matrix)))
        rows = rows._replace(rows=rows.rows.to(options['device']))
        kmeans = ShardedKMeans(**given)
    begin, spent = time.perf_counter(), time.process_time()
    result = kmeans.fit(rows, k, options['seed'], start)
    synchronize(options['device'])
    spent = time.process_time() - spent
    return time.perf_counter() - begin, spent, result.objective


def _compare_shards(report, args, path: str) -> None:
    several = args.processes
    settings = {
        'FaissKMeans, 1 process': (1, 'FaissKMeans'),
        'ShardedKMeans, 1 process': (1, 'ShardedKMeans'),
        f'ShardedKMeans, {several} processes': (several, 'ShardedKMeans'),
    }
    with contextlib.ExitStack() as stack:
        groups = {
            size: stack.enter_context(
                Group(work, size, args.threads, args.device, args.small)
            )
            for size in {1, several}
        }
        for k in args.clusters:
            seconds = {name: [] for name in settings}
            spent, objective = {name: [] for name in settings}, {}
            for turn in range(args.warmup + args.repeats):
                for name, (size, kind) in settings.items():
                    ranks = groups[size].run(kind, path, k, vars(args))
                    if turn >= args.warmup:
                        seconds[name].append(max(s for s, *_ in ranks))
                        spent[name].append(max(s for _, s, _ in ranks))
                    objective[name] = ranks[0][2]
                say(f'K = {k}: round {turn + 1}')
            times, work_of = (
                {name: statistics.median(s) for name, s in each.items()}
                for each in (seconds, spent)
            )
            faiss, one, _ = settings
            rows = []
            for name, value in times.items():
                more = 100 * (objective[name] / objective[faiss] - 1)
                row = [name, value, times[one] / value, work_of[name]]
                row.append(work_of[one] / work_of[name])
                rows.append(row + [f'{objective[name]:.6f}', f'{more:+.4f}%'])
            report.table(
                f'K = {k}: {args.niter} iterations from the same centroids, '
                f'medians of {args.repeats} run(s)',
                [
                    *('', 'seconds', 'times as fast', 'CPU s of a process'),
                    *('times less', 'objective', 'difference'),
                ],
                rows,
            )


if __name__ == '__main__':
    main()
