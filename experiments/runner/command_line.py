# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The options that all programs with a matrix of cells have."""

from __future__ import annotations

import argparse
import fnmatch
from collections.abc import Sequence
from pathlib import Path

from .cell import Cell
from .provenance import usable_cores
from .scheduler import Store


def add_matrix_arguments(
    parser: argparse.ArgumentParser,
    out: str,
    example: str,
    seeds: str = '0 1 2',
    jobs: str = '%(default)s',
) -> None:
    """Adds the options that say which cells, how long, where, how many.

    Args:
        parser (ArgumentParser): Changed in place.
        out (str): Default folder.
        example (str): A pattern that matches names of cells.
        seeds (str): What the help says of their default. Defaults to
            '0 1 2'.
        jobs (str): The same of the cells at the same time. Defaults to the
            number.
    """
    add = parser.add_argument
    add(
        '--seeds',
        type=int,
        nargs='+',
        default=[0, 1, 2],
        metavar='N',
        help=f'seeds of weights, order and augmentation (default: {seeds})',
    )
    add(
        '--only',
        nargs='+',
        metavar='PATTERN',
        help='only cells whose name matches one of these, such as '
        f"'{example}'; quote them",
    )
    add(
        '--epochs',
        type=int,
        metavar='N',
        help="length of each run instead of its recipe's, schedules in "
        'proportion; results of another length are cells of their own',
    )
    add(
        '--out',
        default=out,
        metavar='DIR',
        help=f'folder of the report and of the cells (default: {out})',
    )
    add(
        '--jobs',
        type=int,
        default=min(usable_cores(), 2),
        metavar='N',
        help='cells at the same time, which share the cores (default: '
        f'{jobs})',
    )
    add(
        '--report-only',
        action='store_true',
        help='run nothing; write the report of what is there',
    )


def check_matrix_arguments(args: argparse.Namespace) -> None:
    """Refuse wrong values.

    Raises:
        ValueError: If a number is out of range or a seed is given twice.
    """
    if min(args.seeds) < 0:
        raise ValueError(f'--seeds must be >= 0, not {min(args.seeds)}.')
    if len(set(args.seeds)) < len(args.seeds):
        raise ValueError(f'--seeds {args.seeds} names one twice.')
    if args.jobs < 1:
        raise ValueError(f'--jobs must be at least 1, not {args.jobs}.')
    if args.epochs is not None and args.epochs < 1:
        raise ValueError(f'--epochs must be at least 1, not {args.epochs}.')


def choose(cells: Sequence[Cell], patterns: Sequence[str] | None) -> list:
    """The cells whose names match one of the patterns of ``--only``.

    Raises:
        ValueError: If a pattern matches none.
    """
    for pattern in patterns or ():
        if not any(fnmatch.fnmatch(c.name, pattern) for c in cells):
            names = ', '.join(cell.name for cell in cells[:4])
            more = ', ...' * (len(cells) > 4)
            raise ValueError(
                f'--only {pattern!r} matches none of the {len(cells)} cells: '
                f'{names}{more}.'
            )
    return matching(cells, patterns)


def matching(cells: Sequence[Cell], patterns: Sequence[str] | None) -> list:
    """As :func:`choose`, of what a pattern may well match none of."""
    return [
        cell
        for cell in cells
        if patterns is None
        or any(fnmatch.fnmatch(cell.name, pattern) for pattern in patterns)
    ]


def open_store(out: str) -> Store:
    """Make the folder, and see whether it can be written.

    Raises:
        OSError: If it cannot; the message names ``--out``.
    """
    root = Path(out).resolve() / 'cells'
    probe = root / '.probe'
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe.write_text('x')
        probe.unlink()
    except OSError as error:
        raise OSError(
            f'--out {out!r} cannot be written: {error.strerror or error}. '
            'Name another folder.'
        ) from error
    return Store(root)
