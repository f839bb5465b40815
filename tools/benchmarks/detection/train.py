# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Fine-tunes a detector of mmdet from a pretrained backbone."""

from pathlib import Path

import pauc_mm  # noqa: F401  (registers; makes pauc_mm:: paths resolve)
from pauc_mm.apis.fine_tune import fine_tune

DESCRIPTION = """\
Fine-tune a detector of mmdet from a pretrained backbone. CONFIG is one of
configs/benchmarks/detection, or any other config of mmdet. mmcv needs no
compiled operations for Faster R-CNN and Mask R-CNN. The annotations are
looked at first; --cfg-options annotation_check=False leaves that out.
"""
EXAMPLES = """examples:
  VOC_ROOT=/data/VOCdevkit python tools/benchmarks/detection/train.py \\
      configs/benchmarks/detection/faster-rcnn_r50-c4_8xb2-24k_voc0712.py \\
      work_dirs/pauc_r50_8xb32_in1k/epoch_200.pth --auto-scale-lr
  bash tools/benchmarks/detection/dist_train.sh \\
      configs/benchmarks/detection/mask-rcnn_r50_fpn_8xb2-1x_coco.py \\
      torchvision://resnet50 8
"""
TRAINING = Path(__file__).resolve().parents[2] / 'train.py'


def import_mmdet(parser) -> None:
    """Ends the program with what to install where mmdet is missing."""
    try:
        import pauc_mm.detection  # noqa: F401
    except ImportError as error:
        if error.name != 'mmdet':
            raise
        parser.error(str(error))


def adapt(cfg) -> None:
    """What only the config of a detector needs."""
    from pauc_mm.detection import use_pseudo_collate

    use_pseudo_collate(cfg)


def check(cfg) -> list[str]:
    """Looks at the annotations, unless annotation_check=False."""
    from pauc_mm.detection import check_annotations

    return check_annotations(cfg) if cfg.get('annotation_check', True) else []


def main(argv=None) -> None:
    """Trains.

    Args:
        argv (list[str] or None): Arguments. Defaults to the command line.
    """
    fine_tune(
        TRAINING, DESCRIPTION, EXAMPLES, argv, import_mmdet, adapt, check
    )


if __name__ == '__main__':
    main()
