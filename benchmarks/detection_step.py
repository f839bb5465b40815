# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Time a training step of both detectors, and its nms and RoIAlign.

Models and optimizers are those of configs/benchmarks/detection, with random
weights; images are noise with random boxes. Where mmcv has compiled
operations, steps with these and with torchvision's take turns.
"""

from __future__ import annotations

import functools
import time
from importlib import import_module
from pathlib import Path

import torch
from _harness import Report, get_parser, interleave, parse, synchronize
from detection_ops import alternatives

CONFIGS = Path(__file__).resolve().parents[1] / 'configs/benchmarks/detection'
DETECTORS = {
    'Faster R-CNN R50-FPN, frozen body': (
        'faster-rcnn_r50_fpn_frozen_4xb2-15e_voc07.py'
    ),
    'Mask R-CNN R50-C4': 'mask-rcnn_r50-c4_8xb2-1x_coco.py',
}
OPERATIONS = dict(
    nms='nms',
    roi_align_forward='RoIAlign, forward',
    roi_align_backward='RoIAlign, backward',
)


class Timed:
    """Operations of a module, each with a clock.

    Args:
        ops (module): Has them.
        device (str): 'cuda' waits for the GPU before and after.
    """

    def __init__(self, ops, device: str) -> None:
        self.ops, self.device = ops, device
        self.seconds = dict.fromkeys(OPERATIONS, 0.0)

    def __getattr__(self, name: str):
        operation = getattr(self.ops, name)
        if name not in OPERATIONS:
            return operation

        def timed(*args, **kwargs):
            synchronize(self.device)
            start = time.perf_counter()
            result = operation(*args, **kwargs)
            synchronize(self.device)
            self.seconds[name] += time.perf_counter() - start
            return result

        return timed


def use(ops) -> None:
    """Make mmcv's Python code call the operations of a module."""
    for name in ('mmcv.ops.nms', 'mmcv.ops.roi_align'):
        import_module(name).ext_module = ops


def build(config: str, args) -> tuple:
    """Return a model in training, its optimizer, and two images."""
    import pauc_mm.detection  # noqa: F401, I001
    from mmdet.registry import MODELS
    from mmdet.testing import demo_mm_inputs
    from mmengine.config import Config
    from mmengine.model import revert_sync_batchnorm
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import init_default_scope

    init_default_scope('mmdet')
    torch.manual_seed(args.seed)
    cfg = Config.fromfile(CONFIGS / config)
    model = revert_sync_batchnorm(MODELS.build(cfg.model)).to(args.device)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    # The learning rate of eight GPUs would ruin random weights.
    for group in wrapper.param_groups:
        group['lr'] = 1e-5
    height, width = (64, 96) if args.small else args.size
    batch = demo_mm_inputs(
        2,
        image_shapes=[(3, height, width)] * 2,
        num_items=[8, 8],
        num_classes=20,
        with_mask=True,
        device=args.device,
    )
    return model.train(), wrapper, batch


def step(ops, model, wrapper, batch) -> None:
    """Run one training step with the operations of a module."""
    use(ops)
    model.train_step(batch, wrapper)


def main(argv=None) -> None:
    """Measure and print."""
    parser = get_parser(__doc__, repeats=9)
    parser.add_argument(
        '--size',
        type=int,
        nargs=2,
        default=(320, 480),
        metavar=('HEIGHT', 'WIDTH'),
        help='of the two images of a batch',
    )
    args = parse(parser, argv)
    report = Report('A training step of detectors', args)
    by_name = alternatives()
    baseline = next(iter(by_name))
    for title, config in DETECTORS.items():
        parts = build(config, args)
        timed = {name: Timed(o, args.device) for name, o in by_name.items()}
        plain = {
            name: functools.partial(step, ops, *parts)
            for name, ops in by_name.items()
        }
        timings = interleave(
            plain, args.repeats, args.warmup, args.device, progress=title
        )
        report.timings(title, timings, baseline, faster=True)
        # Steps of their own, as the clocks make a GPU wait.
        shares = interleave(
            {n: functools.partial(step, o, *parts) for n, o in timed.items()},
            args.repeats,
            0,
            args.device,
        )
        rows = []
        for name, clock in timed.items():
            total = sum(shares[name].samples)
            for key, shown in OPERATIONS.items():
                spent = clock.seconds[key]
                rows.append(
                    [
                        name,
                        shown,
                        spent / args.repeats * 1e3,
                        f'{spent / total:.1%}',
                    ]
                )
        header = ['', 'operation', 'mean ms a step', 'of the step']
        report.table(f'{title}: the operations', header, rows)
    report.save()


if __name__ == '__main__':
    main()
