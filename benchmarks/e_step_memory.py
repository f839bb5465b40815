# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measure the peak memory of the E-step by phase, in fresh processes."""

from __future__ import annotations

from _harness import Report, get_parser, natural, parse, positive, say
from _processes import Group

# A process may take these shards, two tables of centroids and the scratch;
# while it reads the bank, that too.
ALLOWED_SHARDS = 1.3
SCRATCH = 64  # MiB
BANK = 'the bank, filled in the epoch', 'embed and assemble'
CLUSTERS = (25000, 50000, 100000)
SMALL_CLUSTERS = (50, 100, 200)


def fill_bank(num_images, dim, device, seed):
    """Return a bank that has seen all but 1% of this rank's images."""
    import torch
    import torch.nn.functional as F
    from mmengine.dist import get_rank, get_world_size

    from pauc_mm.models import MomentumBank

    mine = torch.arange(get_rank(), num_images, get_world_size())
    bank = MomentumBank(len(mine), dim, torch.device(device))
    generator = torch.Generator().manual_seed(seed + get_rank())
    order = torch.randperm(len(mine), generator=generator)
    for part in order[: len(mine) - len(mine) // 100].split(4096):
        keys = torch.randn(len(part), dim, generator=generator)
        bank.write(mine[part], F.normalize(keys, dim=1).to(device))
    return bank


def work(source, options, clusters):
    """Run an E-step here; return the peak growth in bytes by phase.

    What a phase leaves behind for the next ones stays alive, as in
    ``ClusteringHook.e_step``.
    """
    # Imported here: the main process does not need it. The libraries that
    # load late are loaded first, since they are no memory of the E-step.
    import faiss  # noqa: F401
    from _e_step import (
        InMemoryImages,
        StubAlgorithm,
        StubKMeans,
        post_process,
    )
    from _memory import PeakMeter
    from mmengine.dist import get_world_size
    from sklearn.metrics import normalized_mutual_info_score

    from pauc_mm.clustering import ShardedKMeans, cluster_on_ranks
    from pauc_mm.embedding.e_step import check_finite, extract_embeddings

    num_images, dim = options['images'], options['dim']
    device, batch = options['device'], options['batch']
    images = InMemoryImages(num_images, 1)
    model = StubAlgorithm(dim, device)
    # Once with a few images: the libraries load code when it is first used.
    few = extract_embeddings(model, InMemoryImages(batch, 1), batch)
    kmeans = ShardedKMeans(niter=1, nredo=1, scratch=SCRATCH)
    kmeans.fit(few, 2, 0)
    del few
    meter = PeakMeter()
    peaks = {}

    def phase(name, run):
        meter.start()
        result = run()
        peaks[name] = (meter.host(), meter.device())
        say(f'{source}, {get_world_size()} process(es): {name}')
        return result

    bank = None
    if source == 'momentum_bank':
        bank = phase(
            BANK[0],
            lambda: fill_bank(num_images, dim, device, options['seed']),
        )
    embeddings = phase(
        BANK[1],
        lambda: extract_embeddings(
            model, images, batch, options['num_workers'], bank=bank
        ),
    )
    bank = None  # the hook lets go of it, too
    phase('check for NaN', lambda: check_finite(embeddings, 1))
    if source == 'extract':
        for k in options['kmeans']:
            phase(
                f'k-means, K = {k}, 1 iteration',
                lambda k=k: kmeans.fit(embeddings, k, options['seed']),
            )
    results = phase(
        'share random clusterings',
        lambda: cluster_on_ranks(
            StubKMeans(), embeddings, clusters, range(len(clusters))
        ),
    )
    embeddings = None  # as in the hook
    sets = phase(
        'concentrations, hand over',
        lambda: post_process(results, device),
    )
    phase(
        'NMI for the log',
        lambda: normalized_mutual_info_score(
            sets.assignments[-1].cpu(), results[-1].assignments
        ),
    )
    return peaks


def print_peaks(report, title, ranks, shard, tables, bank, small):
    """Print the process that needs most in each phase."""
    rows = []
    for phase in ranks[0]:
        host, device = (max(rank[phase][i] for rank in ranks) for i in (0, 1))
        shards = ALLOWED_SHARDS + (bank and phase in BANK)
        limit = shards * shard + tables + SCRATCH * 2**20
        row = [phase, host / 2**20, host / shard, limit / 2**20]
        # Toy sizes are less than what the allocators keep in hand.
        row.append('-' if small else 'yes' if host <= limit else 'NO')
        rows.append(row + [device / 2**20 if device else '-'])
    header = ['phase', 'peak MiB', 'shards', 'allowed', 'within', 'GPU MiB']
    report.table(title, header, rows)


def main(argv=None):
    """Measure and print."""
    parser = get_parser(__doc__, repeats=1)
    add = parser.add_argument
    add('--images', type=positive, default=1281167, help='N')
    add('--dim', type=positive, default=128, help='D')
    add(
        '--kmeans',
        type=positive,
        nargs='+',
        # At 1000 points a centroid, the first works on a part of the rows.
        default=[1000, 2000],
        metavar='K',
        help='run the real k-means for its working memory',
    )
    add('--batch', type=positive, default=1024, help='images')
    add('--num-workers', type=natural, default=0, help='not counted')
    add('--processes', type=positive, nargs='+', default=[1, 2])
    args = parse(parser, argv)
    clusters = CLUSTERS
    if args.small:
        args.images, args.kmeans, args.batch = 4000, [8], 256
        clusters = SMALL_CLUSTERS
    if args.images < max(*clusters, *args.kmeans):
        parser.error(
            f'--images must be >= {max(*clusters, *args.kmeans)}, the '
            'largest K.'
        )
    size_of = 4 * args.images * args.dim
    table = 4 * max(clusters) * args.dim
    report = Report('Peak memory of the E-step', args)
    report.note(
        f'N = {args.images}, D = {args.dim}, K = {list(clusters)}; the '
        f'matrix has {size_of / 2**20:.0f} MiB, the table of the largest '
        f'centroids {table / 2**20:.0f} MiB. Growth of the resident memory '
        'of a process above what it had after its imports, the most of any '
        f'process; allowed are {ALLOWED_SHARDS} shards, two tables and '
        f'kmeans.scratch={SCRATCH} MiB, and the bank while it is read. The '
        'network is a stub; loading, assembly and what follows are real.'
    )
    for source in ('extract', 'momentum_bank'):
        for size in args.processes:
            with Group(
                work, size, args.threads, args.device, args.small
            ) as group:
                ranks = group.run(source, vars(args), clusters)
            title = f"features='{source}', {size} process(es)"
            bank = source == 'momentum_bank'
            print_peaks(
                *(report, title, ranks, size_of / size, 2 * table, bank),
                args.small,
            )
    report.save()


if __name__ == '__main__':
    main()
