# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What the converters' command lines share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from pauc_mm.checkpoints.converters.conversion import Conversion
from pauc_mm.checkpoints.converters.source import LAYOUT_CHOICES


def make_parser(
    prog: str, description: str, examples: str, layouts: bool = True
) -> argparse.ArgumentParser:
    """A command line with the options that the converters share.

    Args:
        prog (str): Name of the program.
        description (str): What it does.
        examples (str): Shown below the options.
        layouts (bool): Whether sources may be of other projects.

    Returns:
        ArgumentParser: Its options are the arguments of the conversion.
    """
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('source', metavar='SRC', help='checkpoint to read')
    add('destination', metavar='DST', help='file to write')
    add(
        '--momentum',
        action='store_true',
        help='take the momentum encoder (key encoder, target, teacher)',
    )
    if layouts:
        add(
            '--layout',
            choices=list(LAYOUT_CHOICES),
            help="whose names the checkpoint has; found by itself if it's "
            'not given',
        )
        add(
            '--prefix',
            help='what stands before the names of the ResNet in the '
            "checkpoint, such as 'encoder.', in the place of a layout",
        )
    add(
        '--config',
        metavar='CFG',
        help="config of a model of mmpretrain, in place of the checkpoint's",
    )
    add('--force', action='store_true', help='replace DST if it exists')
    add(
        '--trust-checkpoint',
        dest='trust',
        action='store_true',
        help='load files that need more than plain tensors. Such a file can '
        'run any code: only if you know where it comes from',
    )
    return parser


def run_converter(
    parser: argparse.ArgumentParser,
    convert: Callable[..., Conversion],
    argv=None,
) -> Conversion:
    """Parse, convert and say what was written.

    Args:
        parser (ArgumentParser): From :func:`make_parser`.
        convert (callable): Takes the options by name.
        argv (sequence of str, optional): Defaults to the command line.

    Returns:
        Conversion: What was written. Wrong input ends the program with a
        message.
    """
    args = parser.parse_args(argv)
    try:
        result = convert(**vars(args))
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f'{parser.prog}: {error}')
    megabytes = result.path.stat().st_size / 1e6
    epoch = result.meta.get('epoch')
    trained = '' if epoch is None else f', {epoch} epochs'
    print(f'{result.meta["source"]}: {result.described}{trained}')
    for note in result.notes:
        print(f'- {note}')
    print(result.agreement)
    size = f'{result.num_tensors} tensors, {megabytes:.1f} MB'
    print(f'wrote {result.path}: {size}')
    print(f'\nto load it:\n{result.usage}')
    return result
