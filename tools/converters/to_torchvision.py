# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The ResNet of any known checkpoint for plain torchvision.

Both networks' outputs are compared before anything is written.
"""

import pauc_mm  # noqa: F401  (registers everything)
from pauc_mm.apis.converters import make_parser, run_converter
from pauc_mm.checkpoints.converters import to_torchvision
from pauc_mm.checkpoints.converters.to_torchvision import NAMES

EXAMPLES = """examples:
  C=tools/converters/to_torchvision.py
  python $C work_dirs/pauc_r50_8xb32_in1k/epoch_200.pth pauc_r50.pth
  python $C work_dirs/pauc_r50_8xb32_in1k/epoch_200.pth k.pth --momentum
  python $C epoch_200.pth pauc_moco.pth.tar --names moco

The file is loaded with
  model = torchvision.models.resnet50()
  model.fc = torch.nn.Identity()
  model.load_state_dict(torch.load(DST)['state_dict'])
"""


def main(argv=None):
    """Convert and say what was written."""
    parser = make_parser('to_torchvision', __doc__, EXAMPLES)
    parser.add_argument(
        '--names',
        choices=list(NAMES),
        default='torchvision',
        help="'moco' writes module.encoder_q. before each name, for the "
        "official MoCo's and PCL's programs (%(default)s)",
    )
    return run_converter(parser, to_torchvision, argv)


if __name__ == '__main__':
    main()
