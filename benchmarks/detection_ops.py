# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Time nms and RoIAlign of mmcv, compiled or replaced by torchvision's.

Both run through mmcv's own Python code. Where mmcv has no compiled operations
there is nothing to compare with, and torchvision's are timed alone.
"""

from __future__ import annotations

import functools
from importlib import import_module

import torch
from _harness import Report, get_parser, interleave, parse

from pauc_mm.detection import torchvision_ops

COMPILED = 'compiled by mmcv'
OURS = "torchvision's"
# Name; N, C, H, W; regions; their longest side in pixels; cells; scale. The
# finest level of a pyramid, which gets the small regions, and the one of C4,
# for images of 800 x 1216.
ALIGN = [
    ('pyramid', (2, 256, 200, 304), 512, 112, 7, 1 / 4),
    ('C4', (1, 1024, 50, 76), 128, 400, 14, 1 / 16),
]
ALIGN_SMALL = [('pyramid', (1, 4, 20, 30), 8, 112, 7, 1 / 4)]
# Boxes before suppression: of a level of a pyramid, and of C4.
BOXES, BOXES_SMALL = [2000, 12000], [50]


def make_boxes(count, height, width, longest, generator):
    """Return random boxes, sides of 16 to ``longest`` pixels, (N, 4)."""
    size = torch.tensor([width, height])
    centre = torch.rand(count, 2, generator=generator) * size
    half = torch.rand(count, 2, generator=generator) * (longest / 2 - 8) + 8
    low = (centre - half).clamp(min=0)
    return torch.cat([low, torch.minimum(centre + half, size)], dim=1)


def alternatives():
    """Return the modules with the operations by name, the baseline first."""
    stand_in = torchvision_ops.install_ops()
    import mmcv._ext

    return {
        **({} if stand_in else {COMPILED: mmcv._ext}),
        OURS: torchvision_ops,
    }


def suppress(ops, boxes, scores):
    """Run nms of mmcv with the operations of a module."""
    module = import_module('mmcv.ops.nms')
    module.ext_module = ops
    return module.nms(boxes, scores, 0.7)[1]


def align(ops, layer, features, rois, backward):
    """Run RoIAlign of mmcv, or its gradient, with a module's operations."""
    module = import_module('mmcv.ops.roi_align')
    module.ext_module = ops
    features = features.detach().requires_grad_(backward)
    result = layer(features, rois)
    if not backward:
        return result
    (gradient,) = torch.autograd.grad(result, features, result.detach())
    return gradient


def check(runs, what):
    """Check that all alternatives give the same result.

    Raises:
        RuntimeError: If one has another.
    """
    first, *others = (run() for run in runs.values())
    for other in others:
        difference = (first.double() - other.double()).abs().max()
        if difference > 1e-5 * first.double().abs().max():
            raise RuntimeError(f'{what}: results differ by {difference:.2g}.')


def main(argv=None) -> None:
    """Measure and print."""
    args = parse(get_parser(__doc__, repeats=21), argv)
    report = Report('nms and RoIAlign without a compiler', args)
    by_name = alternatives()
    baseline = next(iter(by_name))
    if baseline == OURS:
        report.note('mmcv has no compiled operations here: no comparison.')
    generator = torch.Generator().manual_seed(args.seed)

    def compare(title, function, *inputs):
        runs = {
            name: functools.partial(function, ops, *inputs)
            for name, ops in by_name.items()
        }
        check(runs, title)
        timings = interleave(runs, args.repeats, args.warmup, args.device)
        report.timings(title, timings, baseline, faster=True)

    for count in BOXES_SMALL if args.small else BOXES:
        boxes = make_boxes(count, 800, 1216, 400, generator).to(args.device)
        scores = torch.rand(count, generator=generator).to(args.device)
        compare(f'nms of {count} boxes', suppress, boxes, scores)
    from mmcv.ops import RoIAlign

    for name, shape, count, longest, cells, scale in (
        ALIGN_SMALL if args.small else ALIGN
    ):
        features = torch.randn(shape, generator=generator).to(args.device)
        boxes = make_boxes(
            count, shape[2] / scale, shape[3] / scale, longest, generator
        )
        image = torch.arange(count)[:, None] % shape[0]
        rois = torch.cat([image, boxes], dim=1).to(args.device)
        layer = RoIAlign(cells, scale, 0)
        for backward in (False, True):
            way = 'forward and backward' if backward else 'forward'
            compare(
                f'RoIAlign, {name}, {way}: {" x ".join(map(str, shape))}, '
                f'{count} regions of {cells} x {cells}',
                align,
                layer,
                features,
                rois,
                backward,
            )
    report.save()


if __name__ == '__main__':
    main()
