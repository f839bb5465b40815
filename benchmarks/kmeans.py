# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Compare k-means of the E-step: official settings, one run, warm start.

The embeddings are real: MNIST views through the momentum encoder of a PCL
run, after successive epochs. A warm start goes through all of these epochs,
as in training, and is compared at the last one, where errors would have
added up. The objective is the mean squared distance to the centroid.
"""

from __future__ import annotations

import os

import numpy as np
from _embeddings import successive_embeddings
from _harness import Report, get_parser, interleave, parse, positive, say

from pauc_mm.clustering import FaissKMeans

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
    for k in args.clusters:
        _compare(report, args, matrices, k, device)
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


if __name__ == '__main__':
    main()
