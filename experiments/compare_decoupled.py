# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Do decoupled prototypes collapse? Joint and decoupled CARP, measured.

Trains both on handwritten digits, balanced and long-tailed, with several
seeds; records over the training which prototypes are copies of others and
which are used; and writes tables, with kNN accuracy for frequent and rare
classes, and two pictures. Each run (cell) has a process and a folder of its
own: stop it with Ctrl-C, and the same command goes on.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import pauc_mm  # noqa: F401  (registers; makes pauc_mm:: paths resolve)
from experiments.decoupled import (
    DATA,
    METHODS,
    TAILS,
    group,
    study_cells,
)
from experiments.decoupled.figures import plot_end, plot_over_training
from experiments.decoupled.report import study_report
from experiments.runner.command_line import (
    add_matrix_arguments,
    check_matrix_arguments,
    choose,
    open_store,
)
from experiments.runner.run_and_report import (
    results_and_gaps,
    run_and_report,
)

_NAME = 'experiments/compare_decoupled.py'


def get_parser() -> argparse.ArgumentParser:
    """Command line of this program."""
    methods = '\n'.join(
        f'  {name:<20}{method.label}'
        + ('' if method.by_default else ' (not run unless named)')
        for name, method in METHODS.items()
    )
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f'methods:\n{methods}\n\n'
        'cells are named DATA-TAIL_METHOD_seedN, for --only.\n\n'
        'examples:\n'
        f'  python {_NAME}\n'
        f'  python {_NAME} --data digits --tails balanced --seeds 0\n'
        f'  python {_NAME} --epochs 5 --seeds 0 --out work_dirs/try\n'
        f"  python {_NAME} --only 'mnist-*_seed0' --jobs 1\n"
        f'  python {_NAME} --report-only\n',
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
    add_matrix_arguments(parser, 'work_dirs/decoupled', 'digits-*_seed0')
    return parser


def parse(argv: list[str] | None = None) -> tuple:
    """Arguments, cells and store; ends the program if something is wrong."""
    parser = get_parser()
    args = parser.parse_args(argv)
    try:
        check_matrix_arguments(args)
        cells = choose(
            study_cells(
                args.data, args.tails, args.methods, args.seeds, args.epochs
            ),
            args.only,
        )
        store = open_store(args.out)
    except (ValueError, ImportError, OSError) as error:
        parser.error(str(error))
    return args, cells, store


def write_report(args, cells, store, command: str) -> None:
    """Write the tables and the pictures of what is there."""
    results, gaps = results_and_gaps(cells, store)
    found = group(results)
    out = Path(args.out)
    text = study_report(found, command, gaps)
    (out / 'decoupled.md').write_text(text, encoding='utf-8')
    pictures = [
        plot_over_training(found, out / 'unique_over_training.png'),
        plot_end(found, out / 'unique_and_knn.png'),
    ]
    print(text)
    for path in (out / 'decoupled.md', *pictures):
        print(f'written: {path}', file=sys.stderr)


def main(argv: list[str] | None = None) -> None:
    """Run what is missing, write the report."""
    argv = sys.argv[1:] if argv is None else argv
    args, cells, store = parse(argv)
    shown = [option for option in argv if option != '--report-only']
    command = shlex.join(['python', _NAME, *shown])
    run_and_report(
        args, cells, store, lambda: write_report(args, cells, store, command)
    )


if __name__ == '__main__':
    main()
