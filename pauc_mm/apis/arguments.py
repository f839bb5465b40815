# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Command-line options that several tools share."""

from __future__ import annotations

import argparse

from mmengine.config import DictAction


def make_parser(
    description: str, examples: str, prog: str | None = None
) -> argparse.ArgumentParser:
    """Return a parser that prints its texts as they are written.

    Args:
        description (str): Shown above the options.
        examples (str): Shown below the options.
        prog (str, optional): Name of the program. Defaults to that of the
            file that Python was started with.
    """
    return argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_trust_argument(
    parser: argparse.ArgumentParser, dest: str = 'trust_checkpoint'
) -> None:
    """Add ``--trust-checkpoint`` to a parser."""
    parser.add_argument(
        '--trust-checkpoint',
        dest=dest,
        action='store_true',
        help='load files that need more than plain tensors. Such a file can '
        'run any code: use it only if you know where the file comes from',
    )


def add_encoder_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of tools that embed images with a checkpoint.

    Args:
        parser (ArgumentParser): Changed in place.
    """
    add = parser.add_argument
    add(
        '--config',
        metavar='CFG',
        help="config of the model, if the checkpoint doesn't contain it",
    )
    add(
        '--momentum',
        action='store_true',
        help='use the momentum encoder (key encoder, target, teacher)',
    )
    add(
        '--image-size',
        type=int,
        metavar='PIXELS',
        help="side of the centre crop; default: the config's, or 224",
    )
    add(
        '--corrupt',
        choices=['error', 'skip', 'unchecked'],
        default='error',
        help='how to treat images that do not decode (%(default)s)',
    )
    add('--batch-size', type=int, default=64, metavar='N', help='%(default)s')
    add(
        '--workers',
        type=int,
        default=0,
        metavar='N',
        help='processes that load images (%(default)s)',
    )
    add('--device', choices=['auto', 'cpu', 'cuda'], default='auto')
    add('--seed', type=int, default=0, help='seed of all draws (%(default)s)')
    add_trust_argument(parser)


def add_runner_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing share.

    Args:
        parser (ArgumentParser): Changed in place.
    """
    add = parser.add_argument
    add('config', help='config file, or pauc_mm::NAME for a shipped one')
    add(
        '--work-dir',
        metavar='DIR',
        help='folder for logs, checkpoints and results; default: '
        'work_dirs/NAME_OF_THE_CONFIG',
    )
    add(
        '--amp',
        action='store_true',
        help='automatic mixed precision: float16 with loss scaling on a GPU, '
        'bfloat16 on a CPU',
    )
    add(
        '--no-pin-memory',
        action='store_true',
        help='never pin host memory in the dataloaders (default: pin it '
        'where CUDA is available)',
    )
    add(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change settings of the config, for example '
        'train_dataloader.batch_size=64 "model.num_clusters=[50,100]"; '
        'quote lists and leave no spaces in them',
    )
    add(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how the processes were started; the dist_*.sh and slurm_*.sh '
        'scripts set it',
    )
    add(
        '--local_rank',
        '--local-rank',
        type=int,
        default=0,
        help=argparse.SUPPRESS,
    )
