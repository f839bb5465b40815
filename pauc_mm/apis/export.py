# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""``tools/converters/export.py``: write an encoder for other programs."""

import sys
from collections.abc import Sequence

from pauc_mm.checkpoints.converters import FORMATS, Exported, export
from pauc_mm.checkpoints.layouts import LAYOUT_CHOICES

from .arguments import Parser, add_momentum_argument, add_trust_argument

DESCRIPTION = """\
Write the encoder of any known checkpoint for another program. Both networks'
outputs are compared before anything is written.

  mmpretrain   backbone for mmpretrain and mmdet: any that has a config, or any
               ResNet; a training checkpoint without heads and optimizer
  torchvision  ResNet of plain torchvision
  moco         the same with the names of the official MoCo and PCL
  timm         ResNet or ViT: a file for timm.create_model
  huggingface  the same as a folder: safetensors, config.json, model card
  onnx         any backbone, with its head: features and embedding
"""
EXAMPLES = """examples:
  E=tools/converters/export.py
  python $E PCL_v2_epoch200.pth.tar pcl_v2.pth --to mmpretrain
  python $E dino_full_checkpoint.pth dino.pth --to mmpretrain --momentum
  python $E mine.ckpt mine.pth --to timm --prefix model.encoder.
  python $E work_dirs/quickstart/epoch_120.pth b.pth --to mmpretrain
  python $E work_dirs/pauc_r50/epoch_200.pth r50.pth --to torchvision
  python $E epoch_200.pth pauc_r50 --to huggingface --measures report.json
  python $E epoch_200.pth pauc_r50.onnx --to onnx

The program ends with the code that loads what it wrote.
"""


def main(argv: Sequence[str] | None = None) -> Exported:
    """Parse, export and print; wrong input ends the program."""
    parser = _get_parser()
    args = parser.parse_args(argv)
    try:
        result = export(**vars(args))
    except (ValueError, RuntimeError, OSError, ImportError) as error:
        sys.exit(f'{parser.prog}: {error}')
    epoch = result.meta.get('epoch')
    epochs = '' if epoch is None else f', {epoch} epochs'
    print(f'{result.meta["source"]}: {result.described}{epochs}')
    for note in result.notes:
        print(f'- {note}')
    print(result.agreement)
    files = [result.path, *result.path.glob('*')]
    megabytes = sum(f.stat().st_size for f in files if f.is_file()) / 1e6
    size = f'{result.num_tensors} tensors, {megabytes:.1f} MB'
    print(f'wrote {result.path}: {size}')
    print(f'\nto load it:\n{result.usage}')
    return result


def _get_parser() -> Parser:
    """The options are named as the arguments of :func:`export`."""
    parser = Parser(DESCRIPTION, EXAMPLES, 'export')
    parser.add_argument('source', metavar='SRC', help='checkpoint to read')
    parser.add_argument(
        'destination', metavar='DST', help='file to write, or folder'
    )
    value = parser.value
    value('--to', str, 'form of DST', choices=list(FORMATS), required=True)
    add_momentum_argument(parser)
    value(
        '--config CFG',
        str,
        "config of an mmpretrain model, instead of the checkpoint's",
    )
    value(
        '--measures JSON',
        str,
        'report of a diagnosis or an evaluation, for the model card',
    )
    parser.switch('--force', 'replace DST if it exists')
    add_trust_argument(parser, 'trust')
    value(
        '--layout',
        str,
        'project whose names the checkpoint uses; default: recognised',
        choices=LAYOUT_CHOICES,
    )
    value(
        '--prefix',
        str,
        "prefix of the ResNet's names in the checkpoint, such as 'encoder.', "
        'instead of a layout',
    )
    return parser
