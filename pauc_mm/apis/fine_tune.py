# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""``train.py`` of ``tools/benchmarks/classification`` and ``.../detection``.

Both are tools/train.py with one argument more: the checkpoint to begin with.
"""

from collections.abc import Sequence

from .arguments import Parser
from .config import build_runner, find_config, load_config, lock_folder
from .fine_tune_config import (
    check_batch_size,
    set_backbone_checkpoint,
    use_plain_norm_on_cpu,
    use_pseudo_collate,
)
from .train import get_parser, merge_args

CLASSIFIER = """\
Train a classifier on a pretrained backbone. CONFIG is one of
configs/benchmarks/linear, which freeze the backbone, of
configs/benchmarks/semi, which fine-tune all with few labels, or any other
classifier of mmpretrain.
"""
CLASSIFIER_EXAMPLES = """examples:
  python tools/benchmarks/classification/train.py \\
      configs/benchmarks/linear/tiny_digits.py \\
      work_dirs/pauc_tiny_digits/epoch_120.pth
  IMAGENET_ROOT=/data/imagenet \\
      bash tools/benchmarks/classification/dist_train.sh \\
      configs/benchmarks/linear/resnet50_8xb32-linear-pcl-100e_in1k.py \\
      work_dirs/pauc_r50_8xb32_in1k/epoch_200.pth 8
  python tools/benchmarks/classification/train.py \\
      configs/benchmarks/semi/resnet50_8xb32-semi-pcl-20e_in1k-1percent.py \\
      torchvision://resnet50 --auto-scale-lr
"""
DETECTOR = """\
Fine-tune a detector of mmdet from a pretrained backbone. CONFIG is one of
configs/benchmarks/detection, or any other config of mmdet. Faster R-CNN and
Mask R-CNN need no compiled operations of mmcv. The annotations are checked
first, unless --cfg-options annotation_check=False.
"""
DETECTOR_EXAMPLES = """examples:
  VOC_ROOT=/data/VOCdevkit python tools/benchmarks/detection/train.py \\
      configs/benchmarks/detection/faster-rcnn_r50-c4_8xb2-24k_voc0712.py \\
      work_dirs/pauc_r50_8xb32_in1k/epoch_200.pth --auto-scale-lr
  bash tools/benchmarks/detection/dist_train.sh \\
      configs/benchmarks/detection/mask-rcnn_r50_fpn_8xb2-1x_coco.py \\
      torchvision://resnet50 8
"""


def train_classifier(argv: Sequence[str] | None = None) -> None:
    """Train a classifier that begins with a checkpoint."""
    _fine_tune(get_parser(CLASSIFIER, CLASSIFIER_EXAMPLES), argv)


def train_detector(argv: Sequence[str] | None = None) -> None:
    """Train a detector of mmdet that begins with a checkpoint."""
    parser = get_parser(DETECTOR, DETECTOR_EXAMPLES)
    _fine_tune(parser, argv, detection=True)


def _fine_tune(
    parser: Parser, argv: Sequence[str] | None, detection: bool = False
) -> None:
    parser.add_argument(
        'checkpoint',
        help='checkpoint whose backbone to begin with: of pauc_mm, '
        'mmpretrain or tools/converters, or torchvision://resnet50; "none" '
        'begins with random weights',
    )
    parser.value(
        '--prefix',
        str,
        'prefix of the names of the backbone in the checkpoint; default: '
        '"backbone." if there are such names, else nothing',
    )
    args = parser.parse_args(argv)
    path = find_config(args.config, parser)
    if detection:
        try:
            # Registers mmdet, which the configs of detectors inherit from.
            from pauc_mm.detection import check_annotations
        except ImportError as error:
            if error.name != 'mmdet':
                raise
            parser.error(str(error))
    cfg = load_config(args, path)
    if cfg.get('default_scope') == ('mmpretrain' if detection else 'mmdet'):
        other = 'classification' if detection else 'detection'
        parser.error(
            f"'{args.config}' has default_scope='{cfg.default_scope}': it "
            f'belongs to tools/benchmarks/{other}/train.py.'
        )
    try:
        set_backbone_checkpoint(cfg, args.checkpoint, args.prefix)
    except FileNotFoundError as error:
        parser.error(
            f'{error} "none" begins with random weights; an address such as '
            'torchvision://resnet50 is fetched.'
        )
    except ValueError as error:
        parser.error(f"'{args.config}': {error}")
    if detection:
        use_pseudo_collate(cfg)
    cfg = merge_args(cfg, args)
    with lock_folder(cfg.work_dir, cfg.launcher):
        has_plain_norm = use_plain_norm_on_cpu(cfg)
        runner = build_runner(cfg, quiet=not args.verbose)
        warnings = [check_batch_size(cfg)]
        if has_plain_norm:
            warnings.append(
                'Without GPUs BatchNorm is not synchronised between processes.'
            )
        if detection and cfg.get('annotation_check', True):
            warnings += check_annotations(cfg)
        for warning in filter(None, warnings):
            runner.logger.warning(warning)
        runner.train()
