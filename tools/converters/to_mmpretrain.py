# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The ResNet of any known checkpoint as a backbone for mmpretrain and mmdet.

Both networks' outputs are compared before anything is written.
"""

import pauc_mm  # noqa: F401  (registers everything)
from pauc_mm.apis.converters import make_parser, run_converter
from pauc_mm.checkpoints.converters import to_mmpretrain

EXAMPLES = """examples:
  C=tools/converters/to_mmpretrain.py
  python $C PCL_v2_epoch200.pth.tar pcl_v2.pth
  python $C moco_v2_800ep_pretrain.pth.tar moco_v2.pth
  python $C swav_800ep_pretrain.pth.tar swav.pth
  python $C resnet50-11ad3fa6.pth supervised.pth
  python $C dino_resnet50_pretrain_full_checkpoint.pth dino.pth --momentum
  python $C mine.ckpt mine.pth --prefix model.encoder.

Official PCL, MoCo, SwAV, DINO and Barlow Twins, and torchvision, are
recognised. The file is named in a config as
  init_cfg=dict(type='Pretrained', checkpoint=DST, prefix='backbone.')
"""


def main(argv=None):
    """Convert and say what was written."""
    parser = make_parser('to_mmpretrain', __doc__, EXAMPLES)
    return run_converter(parser, to_mmpretrain, argv)


if __name__ == '__main__':
    main()
