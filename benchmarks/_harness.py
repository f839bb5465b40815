# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Options of all benchmarks, and interleaved timings."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from _report import Report, Timing

__all__ = [
    'Report',
    'Timing',
    'get_parser',
    'interleave',
    'natural',
    'parse',
    'positive',
    'rotated',
    'say',
    'set_threads',
    'synchronize',
]


def get_parser(description: str, repeats: int) -> argparse.ArgumentParser:
    """Return a command line with the options of all benchmarks.

    Args:
        description (str): What is measured.
        repeats (int): Default of ``--repeats``.
    """
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add('--small', action='store_true', help='toy sizes, a few seconds')
    add(
        '--device',
        choices=['auto', 'cpu', 'cuda'],
        default='auto',
        help='where to measure; auto takes a GPU if torch sees one',
    )
    add(
        '--threads',
        type=positive,
        default=torch.get_num_threads(),
        metavar='N',
        help='threads of torch and faiss in a process',
    )
    add(
        '--repeats',
        type=positive,
        default=repeats,
        metavar='N',
        help='timed rounds; in each, every alternative runs once',
    )
    add(
        '--warmup',
        type=natural,
        default=1,
        metavar='N',
        help='rounds before those, not counted',
    )
    add('--seed', type=natural, default=0, metavar='N', help='of the data')
    add(
        '--skip-memory',
        action='store_true',
        help='leave out the runs in fresh processes that measure the peak '
        'memory',
    )
    add('--out', metavar='FILE.json', help='where to write the raw values')
    return parser


def parse(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None = None
) -> argparse.Namespace:
    """Read and check the options, and set the number of threads.

    Args:
        parser (ArgumentParser): From :func:`get_parser`; ends the program
            with a message if an option is wrong.
        argv (Sequence[str], optional): Defaults to the command line.

    Returns:
        Namespace: With ``device`` 'cpu' or 'cuda'.
    """
    args = parser.parse_args(argv)
    has_gpu = torch.cuda.is_available()
    if args.device == 'cuda' and not has_gpu:
        parser.error(
            '--device cuda: torch sees no GPU '
            '(torch.cuda.is_available() is False).'
        )
    if args.device == 'auto':
        args.device = 'cuda' if has_gpu else 'cpu'
    if args.out and not Path(args.out).absolute().parent.is_dir():
        parser.error(f'--out {args.out}: there is no such folder.')
    set_threads(args.threads)
    return args


def positive(text: str) -> int:
    """Parse an integer >= 1, for argparse."""
    return _at_least(1, text)


def natural(text: str) -> int:
    """Parse an integer >= 0, for argparse."""
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(
            f'must be an integer >= {least}, not {text!r}'
        )
    return value


def set_threads(threads: int) -> None:
    """Set the threads of torch and of faiss."""
    torch.set_num_threads(threads)
    try:
        import faiss
    except ImportError:
        return
    faiss.omp_set_num_threads(threads)


def synchronize(device: str) -> None:
    """Wait for the GPU, if it is one."""
    if device == 'cuda':
        torch.cuda.synchronize()


def interleave(
    alternatives: dict[str, Callable],
    repeats: int,
    warmup: int = 1,
    device: str = 'cpu',
    before: Callable | None = None,
    progress: str | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Time alternatives in turn, A B C B C A, instead of one after another.

    What disturbs the machine for a while then disturbs all of them, and none
    always follows the same other one.

    Args:
        alternatives (dict[str, Callable]): Functions without arguments.
        repeats (int): Timed rounds.
        warmup (int): Rounds before those. Defaults to 1.
        device (str): 'cuda' waits for the GPU before the clock is read.
        before (Callable, optional): Called before each run, not timed.
        progress (str, optional): Label of a line per round on stderr.
        clock (Callable): ``time.process_time`` leaves other programs out.

    Returns:
        dict[str, Timing]: By name.
    """
    timings = {name: Timing() for name in alternatives}
    for turn in range(-warmup, repeats):
        for name, run in rotated(list(alternatives.items()), turn):
            if before is not None:
                before()
            synchronize(device)
            start = clock()
            result = run()
            synchronize(device)
            seconds = clock() - start
            del result
            if turn >= 0:
                timings[name].samples.append(seconds)
        if progress:
            say(f'{progress}: round {turn + 1 + warmup}/{warmup + repeats}')
    return timings


def rotated(items: list, turn: int) -> list:
    """Return the items in the order of round ``turn``."""
    first = turn % len(items)
    return items[first:] + items[:first]


def say(line: str) -> None:
    """Print progress to stderr, as stdout is a Markdown file."""
    print(line, file=sys.stderr, flush=True)
