# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Command lines, and the options that several tools share."""

import argparse
from pathlib import Path
from typing import Any

from mmengine.config import DictAction

from pauc_mm.utils.files import check_output


class Parser(argparse.ArgumentParser):
    """Parser that prints its texts as they are written.

    Args:
        description (str): Shown above the options.
        examples (str): Shown below the options.
        prog (str, optional): Name of the program. Defaults to that of the
            file that Python was started with.
    """

    def __init__(
        self, description: str, examples: str, prog: str | None = None
    ) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # Taken out of the arguments by run_tool.
        debug = 'print the traceback of every error'
        self.switch('--debug', debug, default=argparse.SUPPRESS)

    def value(self, option: str, default: Any, text: str, **kwargs) -> None:
        """Add an option that takes a value.

        Args:
            option (str): Flag and name of the value, such as ``'--jobs N'``.
            default (Any): Default, which the help shows; a list takes several
                values. A type, or a list of a type, stands for no default.
            text (str): Help.
            **kwargs: Of ``add_argument``.
        """
        flag, _, metavar = option.partition(' ')
        if metavar:
            kwargs['metavar'] = metavar
        several = isinstance(default, list)
        item = default[0] if several else default
        if several:
            kwargs.setdefault('nargs', '+')
        if isinstance(item, type):
            kwargs['type'] = item
        else:
            kwargs.setdefault('type', type(item))
            kwargs['default'] = default
            text += f' ({" ".join(map(str, default if several else [item]))})'
        self.add_argument(flag, help=text, **kwargs)

    def switch(self, flag: str, text: str, **kwargs) -> None:
        """Add an option without a value, False unless it is given."""
        self.add_argument(flag, action='store_true', help=text, **kwargs)


def check_outputs(
    parser: Parser, folder: bool = False, **paths: str | None
) -> None:
    """End the program if an option names what cannot be written.

    ``paths`` are values by option, of which None and '' write nothing.
    """
    for option, path in paths.items():
        try:
            if path:
                check_output(path, f'--{option}', folder)
        except OSError as error:
            parser.error(str(error))


def add_trust_argument(parser: Parser, dest: str = 'trust_checkpoint') -> None:
    """Add ``--trust-checkpoint`` to a parser."""
    parser.switch(
        '--trust-checkpoint',
        'load files that need more than plain tensors. Such a file can run '
        'any code: use it only if you know where the file comes from',
        dest=dest,
    )


def add_encoder_arguments(parser: Parser) -> None:
    """Add the options of tools that embed images with a checkpoint."""
    value = parser.value
    value('--config CFG', str, 'config of the model, if the file has none')
    add_momentum_argument(parser)
    crop = "side of the centre crop; default: the config's, else 224"
    value('--image-size PIXELS', int, crop)
    value(
        '--corrupt',
        'error',
        'how to treat images that do not decode',
        choices=['error', 'skip', 'unchecked'],
    )
    value('--batch-size N', 64, 'images that are embedded at once')
    value('--workers N', 0, 'processes that load images')
    devices = ['auto', 'cpu', 'cuda']
    value('--device', 'auto', 'where the network runs', choices=devices)
    value('--seed SEED', 0, 'seed of all draws')
    add_trust_argument(parser)


def add_momentum_argument(parser: Parser) -> None:
    """Add ``--momentum`` to a parser."""
    parser.switch(
        '--momentum', 'use the momentum encoder (key encoder, target, teacher)'
    )


def _key_and_value(text: str) -> str:
    if '=' not in text:
        raise argparse.ArgumentTypeError(f'{text!r} is not KEY=VALUE')
    return text


def add_config_arguments(parser: Parser) -> None:
    """Add the config and the options that change it."""
    parser.add_argument(
        'config', help='config file, or pauc_mm::NAME for a shipped one'
    )
    parser.switch(
        '--amp',
        'automatic mixed precision: float16 with loss scaling on a GPU, '
        'bfloat16 on a CPU',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        type=_key_and_value,
        action=DictAction,
        metavar='KEY=VALUE',
        help='change settings of the config, for example '
        'train_dataloader.batch_size=64 "model.num_clusters=[50,100]"; '
        'quote lists and leave no spaces in them',
    )


def add_runner_arguments(parser: Parser) -> None:
    """Add the options that training and testing share."""
    add_config_arguments(parser)
    parser.value(
        '--work-dir DIR',
        str,
        'folder for logs, checkpoints and results; default: '
        'work_dirs/NAME_OF_THE_CONFIG',
    )
    parser.switch(
        '--no-pin-memory',
        'never pin host memory in the dataloaders (default: pin it where CUDA '
        'is available)',
    )
    parser.value(
        '--launcher',
        'none',
        'how the processes were started; the dist_*.sh and slurm_*.sh scripts '
        'set it',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
    )
    flags = ('--local_rank', '--local-rank')
    parser.add_argument(*flags, type=int, default=0, help=argparse.SUPPRESS)


def run_name(checkpoint: str) -> str:
    """Return the names of the folder and the file of a checkpoint."""
    parts = Path(checkpoint).absolute().with_suffix('').parts
    return '_'.join(parts[-2:])
