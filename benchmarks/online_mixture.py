# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measure the online mixture: time beside a ResNet-50 step, peak memory.

The ResNet-50 step is the least that training takes: one view through
mmpretrain's backbone, its gradient and SGD, without head, teacher or data.
Where a step of the whole batch does not fit, --step-batch images are taken
and the time is scaled up.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from _harness import Report, get_parser, interleave, parse, positive
from _memory import peak_memory_in_subprocess
from mmpretrain.registry import MODELS

from pauc_mm.clustering import OnlineGaussianMixture

STEP = 'ResNet-50, forward, backward and SGD'
UPDATE = 'OnlineGaussianMixture.update'
ASSIGN = 'OnlineGaussianMixture.assign'


def make_mixture(k, dim, seed, device, **options):
    """Return a started mixture with K random directions as means."""
    mixture = OnlineGaussianMixture(
        k, dim, init='random', init_samples=k, seed=seed, **options
    ).to(device)
    mixture.initialise(make_batch(k, dim, seed, device))
    return mixture


def make_batch(number, dim, seed, device):
    """Return random directions, (number, dim)."""
    generator = torch.Generator().manual_seed(seed)
    batch = torch.randn(number, dim, generator=generator)
    return F.normalize(batch, dim=1).to(device)


def make_step(batch, image_size, depth, device):
    """Return a training step of a ResNet as a function."""
    cfg = dict(type='mmpretrain.ResNet', depth=depth)
    model = MODELS.build(cfg).to(device)
    model.train()  # in mmpretrain it returns nothing
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    images = torch.randn(batch, 3, image_size, image_size, device=device)

    def step():
        optimizer.zero_grad()
        model(images)[0].square().mean().backward()
        optimizer.step()

    return step


def prepare_update(k, dim, batch, seed, device, scratch_mib):
    """Return a mixture and a batch, which are not measured on a CPU."""
    mixture = make_mixture(k, dim, seed, device, scratch_mib=scratch_mib)
    return mixture, make_batch(batch, dim, seed + 1, device)


def update(inputs):
    """Update once, for the memory beyond the state."""
    mixture, batch = inputs
    mixture.update(batch)


def prepare_whole(*options):
    """Prepare nothing: all is part of the measurement."""
    return options


def whole(options):
    """Build and update, for the memory with the state."""
    inputs = prepare_update(*options)
    update(inputs)
    return inputs


def times(args, report) -> None:
    """Print the table of times."""
    batch = make_batch(args.batch, args.dim, args.seed + 1, args.device)
    mixture = make_mixture(args.components, args.dim, args.seed, args.device)
    step = make_step(args.step_batch, args.image_size, args.depth, args.device)
    timings = interleave(
        {
            STEP: step,
            UPDATE: lambda: mixture.update(batch),
            ASSIGN: lambda: mixture.assign(batch),
        },
        args.repeats,
        args.warmup,
        args.device,
        progress='times',
    )
    scale = args.batch / args.step_batch
    timings[STEP].samples = [s * scale for s in timings[STEP].samples]
    said = '' if scale == 1 else f', measured with {args.step_batch}'
    said += '' if scale == 1 else f' and multiplied by {scale:g}'
    report.timings(
        f'K = {args.components}, D = {args.dim}, batch {args.batch}; '
        f'ResNet-{args.depth}, {args.image_size} pixels, batch {args.batch}'
        f'{said}',
        timings,
        STEP,
    )


def memory(args, report) -> None:
    """Print the table of peak memory."""
    k, dim, batch = args.memory_components, args.memory_dim, args.memory_batch
    rows = []
    for scratch in args.scratch:
        options = k, dim, batch, args.seed, args.device, scratch
        measure = functools.partial(
            peak_memory_in_subprocess,
            threads=args.threads,
            small=args.small,
            # Libraries load code at first use.
            warm_args=(64, dim, 8, *options[3:]),
        )
        rows.append(
            [
                f'scratch_mib={scratch}',
                8 * k * dim / 2**20,
                measure(prepare_update, update, *options),
                measure(prepare_whole, whole, *options),
            ]
        )
    beyond = 'an update' if args.device == 'cuda' else 'an update beyond it'
    report.table(
        f'Peak MiB at K = {k}, D = {dim}, batch {batch}',
        ['', 'means and variances', beyond, 'beginning (K samples) and all'],
        rows,
    )


def main(argv=None) -> None:
    """Measure and print."""
    parser = get_parser(__doc__, repeats=5)
    add = parser.add_argument
    add('--components', type=positive, default=16384, metavar='K')
    add('--dim', type=positive, default=128, metavar='D')
    add('--batch', type=positive, default=256, metavar='N', help='images')
    add(
        '--step-batch',
        type=positive,
        metavar='N',
        help='images of the measured ResNet step; by default 32 on a CPU and '
        'the whole batch on a GPU',
    )
    add('--image-size', type=positive, default=224, help='pixels')
    add('--memory-components', type=positive, default=65536, metavar='K')
    add('--memory-dim', type=positive, default=256, metavar='D')
    add('--memory-batch', type=positive, default=1024, metavar='N')
    add(
        '--scratch',
        type=positive,
        nargs='+',
        default=[64, 256, 1024],
        metavar='MIB',
        help='bounds of the temporary memory to measure',
    )
    args = parse(parser, argv)
    args.depth = 50
    if args.step_batch is None:
        args.step_batch = args.batch if args.device == 'cuda' else 32
    if args.small:
        args.components, args.dim, args.batch, args.step_batch = 64, 8, 16, 4
        args.image_size, args.depth = 32, 18
        args.memory_components, args.memory_dim = 2048, 32
        args.memory_batch, args.scratch = 64, args.scratch[:1]
    report = Report('The online mixture', args)
    times(args, report)
    if not args.skip_memory:
        memory(args, report)
    report.save()


if __name__ == '__main__':
    main()
