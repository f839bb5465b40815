# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What the tools on frozen features share: options, messages, output."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from pauc_mm.transfer.features import SPACES, FeatureOptions

from .encoder_arguments import add_encoder_arguments


def add_arguments(parser: argparse.ArgumentParser, voc: bool = False) -> None:
    """Add the options that the tools on frozen features share.

    Args:
        parser (ArgumentParser): Changed in place.
        voc (bool): Whether several classes an image are allowed.
    """
    add = parser.add_argument
    add('checkpoint', help='file of pauc_mm, mmpretrain, torchvision, ...')
    add(
        '--train',
        metavar='DIR',
        help='training images, one sub-folder for each class; without it '
        "those that the checkpoint's config evaluates with",
    )
    add('--test', metavar='DIR', help='test images, in the same classes')
    add(
        '--data-config',
        metavar='CFG',
        help='take the training and the validation images of this config in '
        'the place of both, for example '
        'configs/benchmarks/linear/resnet50_8xb32-linear-pcl-100e_in100.py',
    )
    if voc:
        add(
            '--voc',
            metavar='DIR',
            help='Pascal VOC 2007 in the place of both: VOCdevkit, or the '
            'folder above or below it',
        )
        add(
            '--difficult',
            choices=['ignore', 'negative'],
            default='ignore',
            help='an image that shows a class in difficult examples only is '
            "left out of this class, or has it not, as in PCL's code "
            '(%(default)s)',
        )
    add(
        '--space',
        choices=SPACES,
        default='feature',
        help='features of the backbone, or the embedding after the '
        'projection (%(default)s)',
    )
    add(
        '--cache',
        default='work_dirs/features',
        metavar='DIR',
        help='where features are kept for the next time; "" keeps none '
        '(%(default)s)',
    )
    add('--out', metavar='FILE.json', help='where to write the figures')
    add_encoder_arguments(parser)


def run_tool(
    parser: argparse.ArgumentParser,
    evaluate: Callable[[FeatureOptions, argparse.Namespace], dict],
    show: Callable[[dict], str],
    argv=None,
) -> dict:
    """Parse, evaluate, print and write.

    Args:
        parser (ArgumentParser): With :func:`add_arguments`.
        evaluate (callable): From options to a result of plain values.
        show (callable): From a result to the text that is printed.
        argv (sequence of str, optional): Defaults to the command line.

    Returns:
        dict: The result, as written to ``--out``. Wrong input ends the
        program with a message.
    """
    args = parser.parse_args(argv)
    given = vars(args)
    if args.out and not args.out.endswith('.json'):
        parser.error(f"--out '{args.out}' must end in .json")
    if args.seed < 0:
        parser.error(f'--seed must be >= 0, not {args.seed}')
    known = FeatureOptions.__dataclass_fields__
    try:
        options = FeatureOptions(
            **{name: given[name] for name in known if name in given}
        )
    except ValueError as error:
        parser.error(str(error))
    try:
        result = evaluate(options, args)
    except (ValueError, FileNotFoundError, IsADirectoryError) as error:
        sys.exit(f'{parser.prog}: {error}')
    result = dict(
        checkpoint=options.checkpoint, **result, options=asdict(options)
    )
    print(show(result))
    if args.out:
        out = Path(args.out)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=2) + '\n', encoding='utf-8')
        print(f'\nfigures: {out}')
    return result
