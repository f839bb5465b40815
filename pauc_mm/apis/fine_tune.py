# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The program that fine-tunes: CONFIG CHECKPOINT and the options of training.

train.py of tools/benchmarks/classification and of tools/benchmarks/detection
are this with their own words.
"""

from __future__ import annotations

import argparse
import runpy
from collections.abc import Callable, Sequence
from pathlib import Path

from mmengine.config import Config

from . import config as cli
from .fine_tune_config import (
    check_batch_size,
    set_backbone_checkpoint,
    use_plain_norm_on_cpu,
)


def add_checkpoint_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what fine-tuning takes beyond training.

    Args:
        parser (ArgumentParser): Of tools/train.py; changed in place.
    """
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


def fine_tune(
    training: Path,
    description: str,
    examples: str,
    argv: Sequence[str] | None = None,
    prepare: Callable[[argparse.ArgumentParser], None] | None = None,
    adapt: Callable[[Config], None] | None = None,
    check: Callable[[Config], Sequence[str]] | None = None,
) -> None:
    """Trains from the command line, beginning with a checkpoint.

    Args:
        training (Path): tools/train.py, whose options these are too.
        description (str): For ``--help``.
        examples (str): For the end of ``--help``.
        argv (sequence of str, optional): Defaults to the command line.
        prepare (callable, optional): Called with the parser before the config
            is read, for what the config needs to be imported.
        adapt (callable, optional): Called with the config before the options
            are applied.
        check (callable, optional): Called with the complete config before the
            training, when the processes have been joined; gives sentences for
            the log.
    """
    tool = runpy.run_path(str(training))
    parser = tool['get_parser']()
    parser.description = description
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = examples
    add_checkpoint_arguments(parser)
    args = parser.parse_args(argv)
    path = cli.find_config(args.config, parser)
    if prepare is not None:
        prepare(parser)
    cfg = cli.load_config(args, path)
    try:
        set_backbone_checkpoint(cfg, args.checkpoint, args.prefix)
    except FileNotFoundError as error:
        parser.error(
            f'{error} "none" begins with random weights; an address such as '
            'torchvision://resnet50 is fetched.'
        )
    except ValueError as error:
        parser.error(f"'{args.config}': {error}")
    if adapt is not None:
        adapt(cfg)
    cfg = tool['merge_args'](cfg, args)
    plain = use_plain_norm_on_cpu(cfg)
    runner = cli.build_runner(cfg)
    if plain:
        runner.logger.warning(
            'Without GPUs BatchNorm is not synchronised between processes.'
        )
    message = check_batch_size(cfg)
    if message:
        runner.logger.warning(message)
    for note in check(cfg) if check is not None else ():
        runner.logger.warning(note)
    runner.train()
