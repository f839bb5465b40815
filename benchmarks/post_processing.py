# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Time concentrations after k-means against a Python loop."""

from __future__ import annotations

import functools

import torch
from _harness import Report, get_parser, interleave, parse, positive
from _loops import TAU, loop, loop_lists, make_data
from _memory import peak_memory_in_subprocess
from sklearn.metrics import normalized_mutual_info_score

from pauc_mm.clustering import FaissKMeans, concentration
from pauc_mm.models import KMeansPrototypes

LOOP = 'loop over samples'
LOOP_LISTS = 'the same over plain lists'
OURS = 'concentration()'
HOOK = 'all that follows the search in the E-step'
NMI = 'NMI with the clustering before, for the log, on rank 0'


def ours(data):
    """Run our function on the input of the loop."""
    ids, k = data['assignments'], data['num_clusters']
    sizes = torch.bincount(ids, minlength=k)
    totals = torch.bincount(ids, data['distances'].double(), k)
    return concentration(totals / sizes.clamp(min=1), sizes, TAU)


class _Searched(FaissKMeans):
    """Stand-in of k-means without the search."""

    def __init__(self, data):
        super().__init__(device='cpu')
        self.data = data

    def _run(self, features, k, seed, init, gpu):
        data = self.data
        assigned = data['assigned'][:, 0], data['host'][1].numpy()
        return (data['products'], *assigned)


def e_step(data):
    """Run all steps after k-means."""
    k = data['num_clusters']
    result = _Searched(data).fit(data['host'][0].numpy(), k, 0)
    assignments = torch.from_numpy(result.assignments)
    sizes = torch.bincount(assignments)
    means = torch.from_numpy(result.mean_distances)
    phi = concentration(means, sizes, TAU)
    int(sizes.min()), int(sizes.median()), int(sizes.max())
    centroids = torch.from_numpy(result.centroids)
    sets = KMeansPrototypes([k], centroids.shape[1])
    device = data['embeddings'].device
    sets.update([centroids], [phi], assignments[None], device, 0)
    return sets.concentrations()


def nmi(data):
    """Compute the agreement of two clusterings, as the E-step logs it."""
    clusters = torch.from_numpy(data['assigned'][:, 0])
    previous = clusters.roll(len(clusters) // 100)
    return normalized_mutual_info_score(previous, clusters)


ALTERNATIVES = {
    LOOP: loop,
    LOOP_LISTS: loop_lists,
    OURS: ours,
    HOOK: e_step,
}


def check(data):
    """Return the largest relative difference to the loop.

    Raises:
        RuntimeError: If an alternative computes something else.
    """
    expected = torch.from_numpy(loop(data)).float()
    worst = 0.0
    for name, run in ALTERNATIVES.items():
        phi = torch.as_tensor(run(data)).float().cpu()
        if phi.shape != expected.shape:
            raise RuntimeError(f'{name}: {phi.shape}, not {expected.shape}.')
        worst = max(worst, float(((phi - expected) / expected).abs().max()))
        if not worst < 1e-3:
            raise RuntimeError(f'{name} differs from the loop by {worst}.')
    return worst


def main(argv=None):
    """Measure and print."""
    parser = get_parser(__doc__, repeats=3)
    parser.add_argument(
        '--all', action='store_true', help='K = 25,000 and 50,000, too'
    )
    parser.add_argument(
        '--samples', type=positive, default=1281167, help='N, without --small'
    )
    args = parse(parser, argv)
    num_samples = 2000 if args.small else args.samples
    sizes = [200] if args.small else [100000]
    if args.all:
        sizes = [50, 100, 200] if args.small else [25000, 50000, 100000]
    if num_samples < max(sizes):
        parser.error(f'--samples must be >= {max(sizes)}, the largest K.')
    report = Report('Post-processing of a clustering', args)
    report.note(
        'The loop and concentration() are given the distances and clusters '
        "that faiss' search returns. The last row is more than the loop does: "
        'it gets the distances from inner products, drops empty clusters, '
        'counts sizes and hands the prototypes over.'
    )
    for k in sizes:
        shape = (num_samples, k, 128, args.seed, args.device)
        data = make_data(*shape)
        report.note(
            f'N = {num_samples}, K = {k}, D = 128; largest relative '
            f'difference of phi to the loop: {check(data):.1e}.'
        )
        timings = interleave(
            {
                name: functools.partial(run, data)
                for name, run in ALTERNATIVES.items()
            },
            args.repeats,
            args.warmup,
            args.device,
            progress=f'K={k}',
        )
        alone = interleave(
            {NMI: functools.partial(nmi, data)}, args.repeats, args.warmup
        )
        del data
        peak = {}
        if not args.skip_memory:
            peak = {
                name: peak_memory_in_subprocess(
                    make_data,
                    ALTERNATIVES[name],
                    *shape,
                    warm_args=(500, 50, 128, args.seed, args.device),
                    threads=args.threads,
                    small=args.small,
                )
                for name in (LOOP, OURS, HOOK)
            }
        report.timings(f'K = {k}', timings, LOOP, faster=True, peak=peak)
        report.table(
            f'K = {k}: not in the table above',
            ['', 'median ms'],
            [[NMI, alone[NMI].median * 1e3]],
        )
    report.save()


if __name__ == '__main__':
    main()
