# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Time a training step of MoCo v2 (mmpretrain), PCL, PAUC and its parts."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from _harness import Report, get_parser, interleave, parse, positive
from _memory import peak_memory_in_subprocess
from _models import (
    METHODS,
    SETS,
    build_model,
    build_step,
    load_recipe,
    make_batch,
)
from mmengine.model import ExponentialMovingAverage
from torch import nn

from pauc_mm.models import MomentumEncoder


def parse_options(argv=None):
    """Return the command line."""
    parser = get_parser(__doc__, repeats=5)
    add = parser.add_argument
    add(
        '--sets',
        nargs='+',
        choices=list(SETS),
        default=list(SETS),
        help='prototypes, queue and N of which recipe',
    )
    add(
        '--depth',
        type=int,
        choices=[18, 34, 50, 101],
        default=50,
        help='of the ResNet',
    )
    add(
        '--neck',
        choices=['linear', 'mlp'],
        default='linear',
        help='projection of all three: of PAUC and PCL v1, or of MoCo v2',
    )
    add('--batch', type=positive, default=32, help='images')
    add('--image-size', type=positive, default=224, help='pixels')
    add('--amp', choices=['bfloat16', 'float16'], help='autocast to it')
    add('--compile', action='store_true', help='torch.compile the forward')
    add('--channels-last', action='store_true', help='memory format')
    add(
        '--part-repeats',
        type=positive,
        default=31,
        metavar='N',
        help='timed rounds of the parts of a step',
    )
    args = parse(parser, argv)
    if args.amp == 'float16' and args.device == 'cpu':
        parser.error("--amp float16 needs a GPU; on a CPU use 'bfloat16'.")
    if args.small:
        args.depth = 18
        args.batch, args.image_size = min(args.batch, 8), 32
        args.part_repeats = min(args.part_repeats, 3)
    return args


def check_same(outputs: dict, tolerance: float) -> None:
    """Check that all methods start from the same InfoNCE.

    Raises:
        RuntimeError: If not, so that they would not be comparable.
    """
    expected = outputs['MoCo']['loss'].item()
    for method in METHODS[1:]:
        value = outputs[method]['loss_infonce'].item()
        if not abs(value - expected) <= tolerance * abs(expected):
            raise RuntimeError(
                f'The InfoNCE of {method} in the first step is {value}, that '
                f'of MoCo {expected}.'
            )


def parts_of(models: dict, batch: dict) -> dict:
    """Return the parts of a step as functions without arguments."""
    pauc, pcl, moco = models['PAUC'], models['PCL'], models['MoCo']
    size, device = len(batch['data_samples']), pauc.queue.device
    query, key = (
        F.normalize(torch.randn(size, len(pauc.queue), device=device), dim=1)
        for _ in range(2)
    )
    query.requires_grad_()
    indices = [sample.sample_idx for sample in batch['data_samples']]

    def lookup():
        return pauc.prototypes.lookup(torch.tensor(indices))

    def prototypes(model):
        query.grad = None
        losses = model.prototype_losses(query, key, lookup())
        total = sum(v for k, v in losses.items() if k.startswith('loss'))
        total.backward()
        return total

    source = nn.Sequential(pauc.backbone, pauc.neck)
    averages = [
        kind(source, 0.001).to(device)
        for kind in (MomentumEncoder, ExponentialMovingAverage)
    ]
    ours, theirs = (
        functools.partial(average.update_parameters, source)
        for average in averages
    )
    return {
        'prototype losses of PCL, forward and backward': functools.partial(
            prototypes, pcl
        ),
        'prototype losses of PAUC, forward and backward': functools.partial(
            prototypes, pauc
        ),
        'of these, looking the clusters up': lookup,
        'copy of the queue': moco.queue.clone,
        'momentum update, ours': ours,
        "momentum update, mmengine's, in mmpretrain's step": theirs,
    }


def prepare_step(name, method, small, options):
    """Prepare nothing: all is part of the measured step."""
    return name, method, small, options


def fresh_step(inputs):
    """Build everything and run two steps, for the peak memory."""
    name, method, small, options = inputs
    cfg, num_samples = load_recipe(name, small)
    model = build_model(cfg, num_samples, method, options)
    step = build_step(cfg, model, make_batch(num_samples, options), options)
    step()
    return step()


def measure(name, args, report) -> None:
    """Print both tables of one set of prototypes."""
    options = vars(args)
    cfg, num_samples = load_recipe(name, args.small)
    batch = make_batch(num_samples, options)
    models = {
        method: build_model(cfg, num_samples, method, options)
        for method in METHODS
    }
    steps = {
        method: build_step(cfg, model, batch, options)
        for method, model in models.items()
    }
    first = {method: step() for method, step in steps.items()}
    check_same(first, 0.05 if args.amp else 1e-3)
    shape = (
        f'{name}: K = {list(models["PAUC"].num_clusters)}, '
        f'r = {cfg.model.proto_head.num_negatives}, N = {num_samples}, '
        f'queue {cfg.model.queue_len}; ResNet-{args.depth}, {args.neck} '
        f'projection, batch {args.batch}, {args.image_size} pixels'
    )
    timings = interleave(
        steps, args.repeats, args.warmup, args.device, progress=name
    )
    # Fills the caches, as the backbone does before each part in a real step.
    filler = torch.zeros(2**24, device=args.device)
    parts = interleave(
        parts_of(models, batch),
        args.part_repeats,
        args.warmup,
        args.device,
        before=functools.partial(filler.add_, 1),
    )
    step_seconds = timings['MoCo'].median
    del models, steps, first, filler
    peak = {}
    if not args.skip_memory:
        peak = {
            method: peak_memory_in_subprocess(
                prepare_step,
                fresh_step,
                name,
                method,
                args.small,
                options,
                threads=args.threads,
                small=args.small,
            )
            for method in METHODS
        }
    report.timings(shape, timings, 'MoCo', peak=peak)
    report.table(
        f'{name}: parts of a step, caches filled by other data',
        ['', 'median ms', "share of MoCo's step"],
        [
            [
                part,
                timing.median * 1e3,
                f'{100 * timing.median / step_seconds:.3f}%',
            ]
            for part, timing in parts.items()
        ],
    )


def main(argv=None):
    """Measure and print."""
    args = parse_options(argv)
    report = Report('One training step', args)
    extras = [f'autocast to {args.amp}' if args.amp else 'float32']
    if args.compile:
        extras.append('torch.compile (of MoCo only the encoders)')
    extras += ['channels last'] if args.channels_last else []
    report.note(
        f'{", ".join(extras)}; the same weights, images and SGD for all; '
        "the images are on the device. MoCo is mmpretrain's with the "
        "recipe's backbone, projection and queue."
    )
    for name in args.sets:
        measure(name, args, report)
    report.save()


if __name__ == '__main__':
    main()
