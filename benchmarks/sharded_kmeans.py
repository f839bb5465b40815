# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Time k-means of ImageNet's size on one device against faiss on it.

Both begin with the same centroids and make as many iterations. The embeddings
are made up: unit vectors around random directions.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from _harness import Report, get_parser, interleave, parse, positive

from pauc_mm.clustering import FaissKMeans, ShardedKMeans
from pauc_mm.utils import Shard

OURS = 'ShardedKMeans'


def make_embeddings(num, dim, device, seed):
    """Return unit vectors around 10,000 directions, (N, D)."""
    generator = torch.Generator(device).manual_seed(seed)
    options = dict(generator=generator, device=device)
    centres = F.normalize(torch.randn(10000, dim, **options), dim=1)
    of = torch.randint(len(centres), (num,), **options)
    noise = torch.randn(num, dim, **options) / dim**0.5
    return F.normalize(centres[of] + 0.7 * noise, dim=1)


def faiss_on(device):
    """Return FaissKMeans on the device, or None if faiss cannot use it."""
    import faiss

    if device == 'cpu':
        return dict(device='cpu')
    return dict(device='gpu') if faiss.get_num_gpus() else None


def main(argv=None) -> None:
    """Measure and print."""
    parser = get_parser(__doc__, repeats=1)
    parser.set_defaults(warmup=0)
    add = parser.add_argument
    add('--num', type=positive, default=1281167, help='N, embeddings')
    add('--dim', type=positive, default=128, help='D, their dimension')
    add(
        '--clusters',
        type=positive,
        nargs='+',
        default=[25000, 50000, 100000],
        metavar='K',
        help='K of each clustering',
    )
    add('--niter', type=positive, default=5, help='iterations')
    args = parse(parser, argv)
    if args.small:
        args.num, args.dim, args.clusters = 2000, 16, [20, 40]
    report = Report(
        f'k-means on one device, N = {args.num}, D = {args.dim}', args
    )
    device = torch.device(args.device)
    rows = make_embeddings(args.num, args.dim, device, args.seed)
    shard, matrix = Shard.of(rows), rows.cpu().numpy()
    options = dict(spherical=True, warm_niter=args.niter)
    kinds = {OURS: functools.partial(ShardedKMeans(**options).fit, shard)}
    where = faiss_on(args.device)
    if where is None:
        report.note('faiss sees no GPU: faiss-cpu is installed.')
    else:
        faiss = FaissKMeans(**options, **where)
        kinds['FaissKMeans'] = functools.partial(faiss.fit, matrix)
    for k in args.clusters:
        start = matrix[torch.randperm(args.num)[:k].numpy()]
        objectives = {}

        def fit(name, k=k, start=start, found=objectives):
            found[name] = kinds[name](k, args.seed, start).objective

        timings = interleave(
            {name: functools.partial(fit, name) for name in kinds},
            args.repeats,
            args.warmup,
            args.device,
            progress=f'K = {k}',
        )
        report.table(
            f'K = {k}: {args.niter} iterations and the last assignment',
            ['', 'seconds', 'times as fast as ours', 'objective'],
            [
                [
                    name,
                    timing.median,
                    timings[OURS].median / timing.median,
                    f'{objectives[name]:.6f}',
                ]
                for name, timing in timings.items()
            ],
        )
    report.save()


if __name__ == '__main__':
    main()
