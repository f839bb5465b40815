# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Time the draw of negative prototypes against a Python set."""

from __future__ import annotations

import functools
import random

import torch
from _harness import Report, get_parser, interleave, parse, positive
from _memory import peak_memory_in_subprocess

from pauc_mm.clustering import sample_negative_prototypes

BASELINE = 'set, then random.sample'
OURS = 'sample_negative_prototypes'
PARTS = 'torch.randperm(K) alone'
# K and r of ImageNet-1k (three sets) and of ImageNet-100.
SHAPES = [(100000, 16000), (50000, 16000), (25000, 16000), (10000, 1024)]
SMALL = [(1000, 160), (200, 16)]


def make_data(k, num_negatives, batch, seed, device):
    """Return K, r, the prototypes of a batch, and a generator."""
    generator = torch.Generator(device).manual_seed(seed)
    ids = torch.randint(k, (batch,), generator=generator, device=device)
    return k, ids, num_negatives, generator


def with_a_set(data):
    """Draw r ids at random from a set without those of the batch."""
    k, ids, num_negatives, _ = data
    free = sorted(set(range(k)) - set(ids.tolist()))
    # random.sample refused sets from Python 3.11 on, hence the list.
    drawn = random.sample(free, min(num_negatives, len(free)))
    return torch.tensor(drawn, device=ids.device)


def ours(data):
    """Draw by our function."""
    return sample_negative_prototypes(*data)


def permutation(data):
    """Draw by the first step of our function."""
    return torch.randperm(data[0], generator=data[3], device=data[1].device)


def check(data):
    """Check that both draw r distinct prototypes outside the batch.

    Raises:
        RuntimeError: If one does not.
    """
    k, ids, num_negatives, _ = data
    candidates, mask = ours(data)
    expected = min(num_negatives, k - len(ids.unique()))
    for name, drawn in (
        (BASELINE, with_a_set(data)),
        (OURS, candidates[mask]),
    ):
        taken = torch.isin(drawn, ids).any()
        if len(drawn.unique()) != expected or len(drawn) != expected or taken:
            raise RuntimeError(f'{name} drew something else (K = {k}).')


def main(argv=None):
    """Measure and print."""
    parser = get_parser(__doc__, repeats=51)
    parser.add_argument(
        '--batch', type=positive, default=256, help='samples of all ranks'
    )
    args = parse(parser, argv)
    if args.small:
        args.batch = min(args.batch, 16)
    report = Report('Negative prototypes of a training step', args)
    for k, num_negatives in SMALL if args.small else SHAPES:
        shape = (k, num_negatives, args.batch, args.seed, args.device)
        data = make_data(*shape)
        check(data)
        random.seed(args.seed)
        timings = interleave(
            {
                name: functools.partial(run, data)
                for name, run in (
                    (BASELINE, with_a_set),
                    (OURS, ours),
                    (PARTS, permutation),
                )
            },
            args.repeats,
            args.warmup,
            args.device,
        )
        peak = {}
        if not args.skip_memory:
            peak = {
                name: peak_memory_in_subprocess(
                    make_data,
                    run,
                    *shape,
                    warm_args=(*SMALL[0], 16, args.seed, args.device),
                    threads=args.threads,
                    small=args.small,
                )
                for name, run in ((BASELINE, with_a_set), (OURS, ours))
            }
        report.timings(
            f'K = {k}, r = {num_negatives}, batch {args.batch}',
            timings,
            BASELINE,
            faster=True,
            peak=peak,
        )
    report.save()


if __name__ == '__main__':
    main()
