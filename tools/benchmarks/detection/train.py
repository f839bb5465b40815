# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Fine-tunes a detector of mmdet from a pretrained backbone."""

import argparse
import runpy
from pathlib import Path

import pauc_mm  # noqa: F401  (registers; makes pauc_mm:: paths resolve)
from pauc_mm.utils import cli

DESCRIPTION = """\
Fine-tune a detector of mmdet from a pretrained backbone. CONFIG is one of
configs/benchmarks/detection, or any other config of mmdet. mmcv needs no
compiled operations for Faster R-CNN and Mask R-CNN.
"""
EXAMPLES = """examples:
  VOC_ROOT=/data/VOCdevkit python tools/benchmarks/detection/train.py \\
      configs/benchmarks/detection/faster-rcnn_r50-c4_8xb2-24k_voc0712.py \\
      work_dirs/pauc_r50_8xb32_in1k/epoch_200.pth --auto-scale-lr
  bash tools/benchmarks/detection/dist_train.sh \\
      configs/benchmarks/detection/mask-rcnn_r50_fpn_8xb2-1x_coco.py \\
      torchvision://resnet50 8
"""
# Of it come the options and what they do to a config.
PRETRAINING = Path(__file__).resolve().parents[2] / 'train.py'


def main(argv=None) -> None:
    """Trains.

    Args:
        argv (list[str] or None): Arguments. Defaults to the command line.
    """
    pretraining = runpy.run_path(str(PRETRAINING))
    parser = pretraining['get_parser']()
    parser.description = DESCRIPTION
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument(
        'checkpoint',
        help='checkpoint whose backbone to begin with: of pauc_mm, '
        'mmpretrain or tools/converters, or torchvision://resnet50; "none" '
        'begins with random weights',
    )
    parser.add_argument(
        '--prefix',
        help='what the names of the backbone begin with in the checkpoint; '
        'by default "backbone." if there are such names, else nothing',
    )
    args = parser.parse_args(argv)
    path = cli.find_config(args.config, parser)
    try:
        from pauc_mm import detection
    except ImportError as error:
        if error.name != 'mmdet':
            raise
        parser.error(str(error))
    cfg = cli.load_config(args, path)
    try:
        detection.set_backbone_checkpoint(cfg, args.checkpoint, args.prefix)
    except FileNotFoundError as error:
        parser.error(
            f'{error} "none" begins with random weights; an address such as '
            'torchvision://resnet50 is fetched.'
        )
    detection.use_pseudo_collate(cfg)
    cfg = pretraining['merge_args'](cfg, args)
    plain = detection.use_plain_norm_on_cpu(cfg)
    runner = cli.build_runner(cfg)
    if plain:
        runner.logger.warning(
            'Without GPUs BatchNorm is not synchronised between processes.'
        )
    message = detection.check_batch_size(cfg)
    if message:
        runner.logger.warning(message)
    runner.train()


if __name__ == '__main__':
    main()
