# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Time the embedding of a batch: autocast and memory format."""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from _harness import Report, get_parser, interleave, parse, positive
from _models import build_model, load_recipe, make_batch

from pauc_mm.models import embed_batch

FULL = 'full precision'


def main(argv=None) -> None:
    """Measure and print."""
    parser = get_parser(__doc__, repeats=3)
    add = parser.add_argument
    add('--depth', type=int, choices=[18, 34, 50, 101], default=50)
    add('--batch', type=positive, default=32, help='images')
    add('--image-size', type=positive, default=224, help='pixels')
    args = parse(parser, argv)
    if args.small:
        args.depth, args.batch, args.image_size = 18, 4, 32
    options = dict(vars(args), neck='linear', compile=False)
    options['channels_last'] = False
    cfg, num_samples = load_recipe('in100', args.small)
    model = build_model(cfg, num_samples, 'PCL', options).eval()
    batch = make_batch(num_samples, options)
    batch['inputs'] = batch['inputs'][0]
    half = 'float16' if args.device == 'cuda' else 'bfloat16'
    settings = {
        FULL: (None, False),
        'channels_last': (None, True),
        f"amp_dtype='{half}'": (half, False),
        f"amp_dtype='{half}', channels_last": (half, True),
    }
    rows = {}

    def run(name):
        rows[name] = embed_batch(model, batch, True, *settings[name])[1]

    timings = interleave(
        {name: functools.partial(run, name) for name in settings},
        args.repeats,
        args.warmup,
        args.device,
        progress='extraction',
    )
    report = Report('Embedding a batch for the E-step', args)
    report.timings(
        f'ResNet-{args.depth}, {args.image_size} pixels, batch {args.batch}',
        timings,
        FULL,
    )
    report.table(
        'Least cosine to the embedding in full precision',
        ['', 'cosine'],
        [
            [name, f'{float(_cosines(rows[name], rows[FULL]).min()):.6f}']
            for name in settings
        ],
    )
    report.save()


def _cosines(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return F.cosine_similarity(first, second, dim=1)


if __name__ == '__main__':
    main()
