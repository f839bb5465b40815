# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Compare methods, or ablations of PAUC, on the same terms.

Trains every method of a suite on every data set with several seeds, measures
accuracy and collapse of each, and writes a report with tables, a picture and
the raw results. Each run (cell) has a process and a folder of its own: stop
it with Ctrl-C, and the same command goes on. A cell whose config has changed
is run again, and its old result kept aside.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import pauc_mm  # noqa: F401  (registers; makes pauc_mm:: paths resolve)
from experiments.comparison import (
    SUITES,
    Suite,
    chosen_rates,
    comparison_cells,
    find_suite,
    group,
    group_tuning,
    tuning_cells,
)
from experiments.comparison.cells import check_images, comparison_cell
from experiments.comparison.documents import (
    missing_from,
    write_documents,
)
from experiments.runner import Cell, Store
from experiments.runner.cell_process import worker_command
from experiments.runner.command_line import (
    add_matrix_arguments,
    check_matrix_arguments,
    choose,
    matching,
    open_store,
)
from experiments.runner.known_results import take_known
from experiments.runner.provenance import usable_cores
from experiments.runner.run_and_report import (
    results_and_gaps,
    run_and_report,
)

_NAME = 'experiments/compare.py'
_JOBS = min(usable_cores(), 2)
_DOCS = Path(__file__).resolve().parents[1] / 'docs'


def get_parser() -> argparse.ArgumentParser:
    """Command line of this program."""
    suites = '\n'.join(
        f'  {name}: {suite.title}; {", ".join(suite.data)}\n'
        f'    {" ".join(suite.methods)}'
        for name, suite in SUITES.items()
    )
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f'suites, their data and their methods:\n{suites}\n\n'
        'cells are named DATA_METHOD_lrRATE_seedN, for --only (after the '
        'rate _Nep or _Ngpu, if --epochs or --gpus says so).\n\n'
        'examples:\n'
        f'  python {_NAME} --suite small\n'
        f'  python {_NAME} --suite small --tune\n'
        f'  python {_NAME} --suite small --methods mocov2 pauc --data digits\n'
        f'  python {_NAME} --suite ablations --seeds 0 --epochs 10\n'
        f'  python {_NAME} --suite small --report-only\n'
        f'  python {_NAME} --suite small --tune --known docs/results.json\n'
        f'  python {_NAME} --suite in100 --gpus 4\n',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('--suite', required=True, metavar='NAME', help='see below')
    add('--data', nargs='+', metavar='NAME', help='only these data sets')
    add('--methods', nargs='+', metavar='NAME', help='only these methods')
    add(
        '--tune',
        action='store_true',
        help='first train each method with several learning rates, seed 0, '
        'and compare with the best of each, by kNN among the training images, '
        "instead of the recipe's",
    )
    add(
        '--docs',
        metavar='DIR',
        help='folder of the report; by default docs/ beside the tools if the '
        'whole suite is reported, with no result less than the report there '
        'has, else that of --out',
    )
    add(
        '--known',
        type=Path,
        metavar='FILE',
        help='begin with the results in this .json of a report, such as '
        'docs/results.json: cells of the same config are not run again. Times '
        'of an epoch are compared on equal hardware only',
    )
    add_matrix_arguments(
        parser,
        'work_dirs/compare/SUITE',
        example='digits_*_seed0',
        seeds='0 1 2, and 0 on ImageNet',
        jobs=f'{_JOBS}, and 1 where a cell takes GPUs',
    )
    add(
        '--gpus',
        type=int,
        metavar='N',
        help='GPUs of a cell, for the suites on ImageNet: with others than '
        'the 8 of the recipes each gets a larger or smaller part of the batch',
    )
    parser.set_defaults(seeds=None, out=None, jobs=None)
    return parser


def parse(argv: list[str]) -> tuple:
    """Arguments, suite, cells for tuning, if that is wanted, and store.

    Ends the program if something is wrong.
    """
    parser = get_parser()
    args = parser.parse_args(argv)
    try:
        suite = find_suite(args.suite)
        whole = not (args.data or args.methods or args.only or args.epochs)
        whole = whole and args.seeds in (None, list(suite.seeds))
        args.seeds = args.seeds or list(suite.seeds)
        args.data = args.data or list(suite.data)
        args.methods = args.methods or list(suite.methods)
        args.out = args.out or f'work_dirs/compare/{args.suite}'
        if args.gpus is None:
            args.gpus = suite.gpus
        if args.jobs is None:
            args.jobs = 1 if suite.gpus > 1 else _JOBS
        args.publish = whole and args.docs is None
        args.docs = Path(args.docs or args.out)
        check_matrix_arguments(args)
        check_gpus(args, suite)
        names = args.data, args.methods
        tuning: list[Cell] = []
        if args.tune:  # refused by some suites, before much is read
            tuning = tuning_cells(suite, *names, args.epochs)
        chosen = choose(possible_cells(args, suite), args.only)
        tuning = matching(tuning, args.only)
        if not args.report_only:
            check_images(chosen)
        store = open_store(args.out)
        store.megabytes = suite.megabytes
        if args.known is not None:
            begin_with(args.known, _once(tuning + chosen), store)
    except (ValueError, ImportError, OSError, RuntimeError) as error:
        parser.error(str(error))
    return args, suite, tuning, store


def begin_with(known: Path, cells: list[Cell], store: Store) -> None:
    """Store what is known of these cells, and say how much that is."""
    taken, changed = take_known(known, cells, store)
    told = f'{taken} results of {len(cells)} cells were taken from {known}.'
    if changed:
        told += f' {changed} were not: their configs have changed since.'
    print(told, file=sys.stderr)


def check_gpus(args: argparse.Namespace, suite: Suite) -> None:
    """Refuse numbers of GPUs that there are not.

    Raises:
        ValueError: Saying what would do.
    """
    import torch

    if suite.gpus == 1:
        if args.gpus != 1:
            raise ValueError(
                f'--gpus {args.gpus}: the cells of --suite {args.suite} run '
                'in one process, --jobs of them at the same time: leave it '
                'out.'
            )
        return
    if args.gpus < 1:
        raise ValueError(f'--gpus must be at least 1, not {args.gpus}.')
    if args.jobs > 1:
        raise ValueError(
            f'--jobs {args.jobs}: each cell of --suite {args.suite} takes all '
            'GPUs: leave it out.'
        )
    there = torch.cuda.device_count()
    if there < args.gpus and not args.report_only:
        raise ValueError(
            f'--gpus {args.gpus}, but this machine has {there}: give --gpus '
            f'{there}.'
            if there
            else f'--suite {args.suite} trains ResNet-50 on GPUs, and this '
            'machine has none; --suite small runs on a CPU.'
        )


def possible_cells(args: argparse.Namespace, suite: Suite) -> list[Cell]:
    """All that may be run, whichever learning rates will be chosen."""
    names = args.data, args.methods
    if not args.tune:
        return comparison_cells(
            suite, *names, args.seeds, args.epochs, args.gpus
        )
    more = [
        comparison_cell(suite, data, method, seed, rate, args.epochs)
        for seed in args.seeds
        for data in args.data
        for method in args.methods
        for rate in suite.methods[method].rates
    ]
    return _once(tuning_cells(suite, *names, args.epochs) + more)


def cells_to_compare(
    args: argparse.Namespace, suite: Suite, store: Store
) -> list[Cell]:
    """With the best of the rates that were tried, or the recipes'."""
    rates = {}
    if args.tune:
        rates = chosen_rates(group_tuning(tuned(args, suite, store), 1))
    cells = comparison_cells(
        suite,
        args.data,
        args.methods,
        args.seeds,
        args.epochs,
        args.gpus,
        rates,
    )
    return matching(cells, args.only)


def tuned(args: argparse.Namespace, suite: Suite, store: Store) -> list[dict]:
    """Results of all rates that were tried, by an earlier call too."""
    cells = tuning_cells(suite, args.data, args.methods, args.epochs)
    return [result for result in map(store.finished, cells) if result]


def _once(cells: list[Cell]) -> list[Cell]:
    """Without those that are there already."""
    return list({cell.name: cell for cell in cells}.values())


def write_report(
    args: argparse.Namespace,
    suite: Suite,
    tuning: list[Cell],
    store: Store,
    command: str,
) -> None:
    """Write the report of what is there, and print it."""
    cells = cells_to_compare(args, suite, store)
    results, gaps = results_and_gaps(_once(cells + tuning), store)
    own = {cell.name for cell in cells}
    grouped = group([r for r in results if r['cell']['name'] in own])
    rates = tuned(args, suite, store) if suite.tuned else []
    tried = group_tuning(rates)
    docs = args.docs
    if args.publish:
        less = missing_from(suite, grouped, tried, _DOCS)
        if less:
            print(
                f"The report goes to '{docs}': that in '{_DOCS}' has {less} "
                'results which are not here (--known begins with them, '
                '--docs replaces it all the same).',
                file=sys.stderr,
            )
        else:
            docs = _DOCS
    text, files = write_documents(suite, grouped, tried, docs, command, gaps)
    print(text)
    for path in files:
        print(f'written: {path}', file=sys.stderr)


def _of_results(argv: list[str]) -> list[str]:
    """The options that say which results there are, not where from."""
    rest = argparse.ArgumentParser(add_help=False)
    rest.add_argument('--known')
    rest.add_argument('--report-only', action='store_true')
    return rest.parse_known_args(argv)[1]


def main(argv: list[str] | None = None) -> None:
    """Run what is missing, write the report."""
    argv = sys.argv[1:] if argv is None else argv
    args, suite, tuning, store = parse(argv)
    command = shlex.join(['python', _NAME, *_of_results(argv)])

    def rest() -> list[Cell]:
        return cells_to_compare(args, suite, store)

    run_and_report(
        args,
        tuning if args.tune else rest(),
        store,
        lambda: write_report(args, suite, tuning, store, command),
        worker_command(args.gpus),
        rest if args.tune else None,
    )


if __name__ == '__main__':
    main()
