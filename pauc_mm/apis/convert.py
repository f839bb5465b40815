# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""``tools/converters``: write a backbone for other programs."""

import sys
from collections.abc import Callable, Sequence

from pauc_mm.checkpoints import converters
from pauc_mm.checkpoints.converters.conversion import Conversion
from pauc_mm.checkpoints.converters.to_torchvision import NAMES
from pauc_mm.checkpoints.layouts import LAYOUT_CHOICES

from .arguments import Parser, add_momentum_argument, add_trust_argument

EXTRACT_BACKBONE = """\
Write the backbone alone of a training checkpoint of pauc_mm or mmpretrain:
without heads, prototypes, momentum encoder, optimizer and history. Any
backbone, not only a ResNet.
"""
EXTRACT_BACKBONE_EXAMPLES = """examples:
  C=tools/converters/extract_backbone.py
  python $C work_dirs/quickstart/epoch_120.pth backbone.pth
  python $C work_dirs/quickstart/epoch_120.pth averaged.pth --momentum

A config names the file as
  init_cfg=dict(type='Pretrained', checkpoint=DST, prefix='backbone.')
"""
TO_MMPRETRAIN = """\
Write the ResNet of any known checkpoint as a backbone for mmpretrain and
mmdet. The outputs of both networks are compared before anything is written.
"""
TO_MMPRETRAIN_EXAMPLES = """examples:
  C=tools/converters/to_mmpretrain.py
  python $C PCL_v2_epoch200.pth.tar pcl_v2.pth
  python $C moco_v2_800ep_pretrain.pth.tar moco_v2.pth
  python $C swav_800ep_pretrain.pth.tar swav.pth
  python $C resnet50-11ad3fa6.pth supervised.pth
  python $C dino_resnet50_pretrain_full_checkpoint.pth dino.pth --momentum
  python $C mine.ckpt mine.pth --prefix model.encoder.

Official PCL, MoCo, SwAV, DINO and Barlow Twins, and torchvision, are
recognised. A config names the file as
  init_cfg=dict(type='Pretrained', checkpoint=DST, prefix='backbone.')
"""
TO_TORCHVISION = """\
Write the ResNet of any known checkpoint for plain torchvision. The outputs of
both networks are compared before anything is written.
"""
TO_TORCHVISION_EXAMPLES = """examples:
  C=tools/converters/to_torchvision.py
  python $C work_dirs/pauc_r50_8xb32_in1k/epoch_200.pth pauc_r50.pth
  python $C work_dirs/pauc_r50_8xb32_in1k/epoch_200.pth k.pth --momentum
  python $C epoch_200.pth pauc_moco.pth.tar --names moco

The file is loaded with
  model = torchvision.models.resnet50()
  model.fc = torch.nn.Identity()
  model.load_state_dict(torch.load(DST)['state_dict'])
"""


def extract_backbone(argv: Sequence[str] | None = None) -> Conversion:
    """Write the backbone of a training checkpoint."""
    texts = (EXTRACT_BACKBONE, EXTRACT_BACKBONE_EXAMPLES)
    parser = _get_parser('extract_backbone', *texts, layouts=False)
    return _convert(parser, converters.extract_backbone, argv)


def to_mmpretrain(argv: Sequence[str] | None = None) -> Conversion:
    """Write the ResNet of a checkpoint for mmpretrain and mmdet."""
    texts = (TO_MMPRETRAIN, TO_MMPRETRAIN_EXAMPLES)
    parser = _get_parser('to_mmpretrain', *texts)
    return _convert(parser, converters.to_mmpretrain, argv)


def to_torchvision(argv: Sequence[str] | None = None) -> Conversion:
    """Write the ResNet of a checkpoint for torchvision."""
    texts = (TO_TORCHVISION, TO_TORCHVISION_EXAMPLES)
    parser = _get_parser('to_torchvision', *texts)
    parser.value(
        '--names',
        'torchvision',
        "'moco' writes module.encoder_q. before each name, for the programs "
        'of the official MoCo and PCL',
        choices=list(NAMES),
    )
    return _convert(parser, converters.to_torchvision, argv)


def _get_parser(
    prog: str, description: str, examples: str, layouts: bool = True
) -> Parser:
    """The options of all converters, named as the arguments of functions."""
    parser = Parser(description, examples, prog)
    parser.add_argument('source', metavar='SRC', help='checkpoint to read')
    parser.add_argument('destination', metavar='DST', help='file to write')
    add_momentum_argument(parser)
    parser.value(
        '--config CFG',
        str,
        "config of an mmpretrain model, instead of the checkpoint's",
    )
    parser.switch('--force', 'replace DST if it exists')
    add_trust_argument(parser, 'trust')
    if layouts:
        parser.value(
            '--layout',
            str,
            'project whose names the checkpoint uses; default: recognised',
            choices=LAYOUT_CHOICES,
        )
        parser.value(
            '--prefix',
            str,
            "prefix of the ResNet's names in the checkpoint, such as "
            "'encoder.', instead of a layout",
        )
    return parser


def _convert(
    parser: Parser,
    convert: Callable[..., Conversion],
    argv: Sequence[str] | None,
) -> Conversion:
    """Parse, convert and print; wrong input ends the program."""
    args = parser.parse_args(argv)
    try:
        result = convert(**vars(args))
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f'{parser.prog}: {error}')
    epoch = result.meta.get('epoch')
    epochs = '' if epoch is None else f', {epoch} epochs'
    print(f'{result.meta["source"]}: {result.described}{epochs}')
    for note in result.notes:
        print(f'- {note}')
    print(result.agreement)
    megabytes = result.path.stat().st_size / 1e6
    size = f'{result.num_tensors} tensors, {megabytes:.1f} MB'
    print(f'wrote {result.path}: {size}')
    print(f'\nto load it:\n{result.usage}')
    return result
