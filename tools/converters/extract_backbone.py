# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The backbone alone of a training checkpoint of pauc_mm or mmpretrain.

Without heads, prototypes, momentum encoder, optimizer and history. Any
backbone, not only a ResNet.
"""

import pauc_mm  # noqa: F401  (registers everything)
from pauc_mm.apis.converters import make_parser, run_converter
from pauc_mm.checkpoints.converters import extract_backbone

EXAMPLES = """examples:
  C=tools/converters/extract_backbone.py
  python $C work_dirs/quickstart/epoch_120.pth backbone.pth
  python $C work_dirs/quickstart/epoch_120.pth averaged.pth --momentum

The file is named in a config as
  init_cfg=dict(type='Pretrained', checkpoint=DST, prefix='backbone.')
"""


def main(argv=None):
    """Extract and say what was written."""
    parser = make_parser('extract_backbone', __doc__, EXAMPLES, layouts=False)
    return run_converter(parser, extract_backbone, argv)


if __name__ == '__main__':
    main()
