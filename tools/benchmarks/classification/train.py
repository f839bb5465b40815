# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Trains a classifier on a pretrained backbone, frozen or not."""

from pathlib import Path

import pauc_mm  # noqa: F401  (registers; makes pauc_mm:: paths resolve)
from pauc_mm.apis.fine_tune import fine_tune

DESCRIPTION = """\
Train a classifier on a pretrained backbone. CONFIG is one of
configs/benchmarks/linear, where the backbone is frozen, of
configs/benchmarks/semi, where all is fine-tuned with few labels, or any other
classifier of mmpretrain.
"""
EXAMPLES = """examples:
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
TRAINING = Path(__file__).resolve().parents[2] / 'train.py'


def main(argv=None) -> None:
    """Trains.

    Args:
        argv (list[str] or None): Arguments. Defaults to the command line.
    """
    fine_tune(TRAINING, DESCRIPTION, EXAMPLES, argv)


if __name__ == '__main__':
    main()
