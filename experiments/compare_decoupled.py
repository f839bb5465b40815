# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measure the collapse of prototypes in joint and decoupled CARP.

Trains both on handwritten digits, balanced and long-tailed, with several
seeds; records during the training which prototypes are copies of others and
which are used; and writes tables, with kNN accuracy for frequent and rare
classes, and two pictures. Each run has a process and a folder of its own:
stop it with Ctrl-C, and the same command goes on.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import pauc_mm  # noqa: F401  (registers; makes pauc_mm:: paths resolve)
from experiments.decoupled import DATA, METHODS, TAILS, group, study_runs
from experiments.decoupled.plots import plot_end, plot_over_training
from experiments.decoupled.report import study_report
from experiments.runner.command_line import (
    add_run_arguments,
    add_selection_arguments,
    check_once,
    choose,
    open_store,
    run_and_report,
)
from experiments.runner.scheduler import say
from pauc_mm.utils.files import write_text

_NAME = 'python -m experiments.compare_decoupled'


def get_parser() -> argparse.ArgumentParser:
    """Build the command line of this program."""
    methods = '\n'.join(
        f'  {name:<26}{method.label}'
        + ('' if method.by_default else ' (not run unless named)')
        for name, method in METHODS.items()
    )
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f'methods:\n{methods}\n\n'
        'runs are named DATA-TAIL_METHOD_seedN, for --only.\n\n'
        'examples:\n'
        f'  {_NAME}\n'
        f'  {_NAME} --data digits --tails balanced --seeds 0\n'
        f'  {_NAME} --epochs 5 --seeds 0 --out work_dirs/try\n'
        f"  {_NAME} --only 'mnist-*_seed0' --jobs 1\n"
        f'  {_NAME} --report-only\n',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for option, known, default, text in (
        ('--data', DATA, list(DATA), 'images'),
        ('--tails', TAILS, list(TAILS), 'sizes of the classes'),
        (
            '--methods',
            METHODS,
            [name for name, m in METHODS.items() if m.by_default],
            'see below',
        ),
    ):
        parser.add_argument(
            option,
            nargs='+',
            default=default,
            metavar='NAME',
            help=f'{text}: {", ".join(known)} (default: {" ".join(default)})',
        )
    add_selection_arguments(parser, 'digits-*_seed0')
    add_run_arguments(parser, 'work_dirs/decoupled')
    return parser


def parse(argv: list[str]) -> tuple:
    """Read arguments, runs and store; ends the program on a wrong value."""
    parser = get_parser()
    args = parser.parse_args(argv)
    try:
        check_once(args, 'data', 'tails', 'methods', 'seeds')
        runs = study_runs(
            args.data, args.tails, args.methods, args.seeds, args.epochs
        )
        runs = choose(runs, args.only)
        store = open_store(args.out)
    except (ValueError, ImportError, OSError) as error:
        parser.error(str(error))
    return args, runs, store


def main(argv: list[str] | None = None) -> None:
    """Run what is missing, write the report."""
    argv = sys.argv[1:] if argv is None else argv
    args, runs, store = parse(argv)
    options = [o for o in argv if o not in ('--report-only', '--force')]
    command = f'{_NAME} {shlex.join(options)}'.strip()

    def report() -> None:
        results, gaps = store.results_and_gaps(runs)
        grouped = group(results)
        out = Path(args.out)
        text = study_report(grouped, command, gaps)
        write_text(out / 'decoupled.md', text)
        print(text)
        plot_over_training(grouped, out / 'unique_over_training.png')
        plot_end(grouped, out / 'unique_and_knn.png')
        say(f'written: decoupled.md and two pictures in {out}')

    run_and_report(args, [lambda: runs], store, report)


if __name__ == '__main__':
    main()
