# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Ask which label-free measures rank trained models as labels do.

Trains the methods of the small suite with every learning rate that it is
tuned over, those that collapse among them, measures each model with and
without labels, and writes their rank correlations. Each run has a process and
a folder of its own: stop it with Ctrl-C, and the same command goes on.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pauc_mm  # noqa: F401  (registers; makes pauc_mm:: paths resolve)
from experiments.comparison import SUITES
from experiments.comparison.label_free import MEASURE
from experiments.comparison.rank_correlation import correlation_report
from experiments.comparison.runs import check_names, comparison_run
from experiments.runner import ConfigRun, read_results, write_results
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

_NAME = 'python -m experiments.rank_label_free'
_SUITE = SUITES['small']
_DOCS = Path(__file__).resolve().parents[1] / 'docs'


def get_parser() -> argparse.ArgumentParser:
    """Build the command line of this program."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='runs are named DATA_METHOD_lrRATE_seedN, for --only (after '
        'the rate _Nep, if --epochs says so).\n\n'
        'examples:\n'
        f'  {_NAME}\n'
        f'  {_NAME} --data digits --seeds 0 1 --epochs 30\n'
        f'  {_NAME} --report-only\n',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for option, known in (
        ('--data', list(_SUITE.data)),
        ('--methods', list(_SUITE.methods)),
    ):
        parser.add_argument(
            option,
            nargs='+',
            default=known,
            metavar='NAME',
            help=f'of {", ".join(known)} (default: all)',
        )
    add_selection_arguments(parser, 'digits_*_seed0')
    add_run_arguments(parser, 'work_dirs/label_free')
    parser.add_argument(
        '--published',
        type=Path,
        default=_DOCS / 'results.json',
        metavar='FILE',
        help='results of experiments.compare, for a second table of what was '
        'measured of them (default: %(default)s)',
    )
    return parser


def all_rates(args: argparse.Namespace) -> list[ConfigRun]:
    """Declare a run for each rate of each method, the first seed first."""
    check_once(args, 'data', 'methods', 'seeds')
    check_names(_SUITE, args.data, args.methods)
    runs = [
        comparison_run(_SUITE, data, method, seed, rate, args.epochs)
        for seed in args.seeds
        for data in args.data
        for method in args.methods
        for rate in _SUITE.methods[method].rates
    ]
    return choose([replace(run, measure=MEASURE) for run in runs], args.only)


def main(argv: list[str] | None = None) -> None:
    """Run what is missing, write the report."""
    argv = sys.argv[1:] if argv is None else argv
    parser = get_parser()
    args = parser.parse_args(argv)
    try:
        runs = all_rates(args)
        published = read_results(args.published)
        store = open_store(args.out)
    except (ValueError, ImportError, OSError) as error:
        parser.error(str(error))
    options = [o for o in argv if o not in ('--report-only', '--force')]

    def report() -> None:
        results, gaps = store.results_and_gaps(runs)
        out = Path(args.out)
        command = f'{_NAME} {shlex.join(options)}'.strip()
        text = correlation_report(results, published, command, gaps)
        write_text(out / 'label_free.md', text)
        write_results(out / 'label_free.json', results)
        print(text)
        say(f'written: label_free.md and label_free.json in {out}')

    run_and_report(args, [lambda: runs], store, report)


if __name__ == '__main__':
    main()
