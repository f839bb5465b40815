# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Compare methods, or ablations of PAUC, on the same terms.

Trains every method of a suite on every data set with several seeds, measures
accuracy and collapse of each, and writes a report with tables, a picture and
the raw results. Each run has a process and a folder of its own: stop it with
Ctrl-C, and the same command goes on. A run whose config has changed is
repeated, and its old result kept aside.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pauc_mm  # noqa: F401  (registers; makes pauc_mm:: paths resolve)
from experiments.comparison import (
    SUITES,
    Suite,
    chosen_rates,
    comparison_runs,
    find_suite,
    group,
    group_tuning,
    tuning_runs,
)
from experiments.comparison.documents import missing_from, write_documents
from experiments.comparison.runs import check_images, comparison_run
from experiments.runner import ConfigRun, RunResult, Store
from experiments.runner.command_line import (
    JOBS,
    add_run_arguments,
    add_selection_arguments,
    check_once,
    choose,
    matching,
    number,
    open_store,
    run_and_report,
)
from experiments.runner.scheduler import WorkerProcesses, say

_NAME = 'python -m experiments.compare'
_DOCS = Path(__file__).resolve().parents[1] / 'docs'


def get_parser() -> argparse.ArgumentParser:
    """Build the command line of this program."""
    suites = '\n'.join(
        f'  {name}: {suite.title}; {", ".join(suite.data)}\n'
        f'    {" ".join(suite.methods)}'
        for name, suite in SUITES.items()
    )
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f'suites, their data and their methods:\n{suites}\n\n'
        'runs are named DATA_METHOD_lrRATE_seedN, for --only (after the '
        'rate _Nep or _Ngpu, if --epochs or --gpus says so).\n\n'
        'examples:\n'
        f'  {_NAME} --suite small\n'
        f'  {_NAME} --suite small --tune\n'
        f'  {_NAME} --suite small --methods mocov2 pauc --data digits\n'
        f'  {_NAME} --suite ablations --seeds 0 --epochs 10\n'
        f'  {_NAME} --suite small --report-only\n'
        f'  {_NAME} --suite small --tune --known docs/results.json\n'
        f'  {_NAME} --suite in100 --gpus 4\n',
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
        type=Path,
        metavar='DIR',
        help='folder of the report; by default docs/ if the whole suite is '
        'reported, with no result less than the report there has, else that '
        'of --out',
    )
    add(
        '--known',
        type=Path,
        metavar='FILE',
        help='begin with the results in this .json of a report, such as '
        'docs/results.json: runs of the same config are not repeated. Times '
        'of an epoch are compared on equal hardware only',
    )
    add_selection_arguments(
        parser, 'digits_*_seed0', seeds='0 1 2, and 0 on ImageNet'
    )
    add_run_arguments(
        parser,
        'work_dirs/compare/SUITE',
        jobs=f'{JOBS}, and 1 where a run takes GPUs',
    )
    add(
        '--gpus',
        type=number(1),
        metavar='N',
        help='GPUs of a run, for the suites on ImageNet: with others than '
        'the 8 of the recipes each gets a larger or smaller part of the batch',
    )
    parser.set_defaults(seeds=None, out=None, jobs=None)
    return parser


@dataclass
class Comparison:
    """Runs of a suite that a command line asks for.

    Attributes:
        suite (Suite): What may be run.
        args (Namespace): Options, their defaults filled in from the suite.
    """

    suite: Suite
    args: argparse.Namespace

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> Comparison:
        """Fill in the suite's defaults and check the values.

        Raises:
            ValueError: If a value is wrong.
            ImportError: If a package with images is missing.
        """
        suite = find_suite(args.suite)
        defaults = dict(
            data=list(suite.data),
            methods=list(suite.methods),
            seeds=list(suite.seeds),
            out=f'work_dirs/compare/{args.suite}',
            jobs=1 if suite.gpus > 1 else JOBS,
            gpus=suite.gpus,
        )
        given = {k: v for k, v in vars(args).items() if v is not None}
        args = argparse.Namespace(**{**vars(args), **defaults, **given})
        check_once(args, 'data', 'methods', 'seeds')
        check_gpus(args, suite)
        return cls(suite, args)

    @property
    def is_whole(self) -> bool:
        """Whether the whole suite is asked for."""
        args, suite = self.args, self.suite
        return (args.data, args.methods, args.seeds) == tuple(
            map(list, (suite.data, suite.methods, suite.seeds))
        ) and not (args.only or args.epochs)

    def tuning(self) -> list[ConfigRun]:
        """Return the runs that try learning rates."""
        args = self.args
        return tuning_runs(self.suite, args.data, args.methods, args.epochs)

    def possible(self) -> list[ConfigRun]:
        """Return all that may be run, whichever rates will be chosen."""
        if not self.args.tune:
            return self.compared({})
        args = self.args
        return _once(
            self.tuning()
            + [
                comparison_run(
                    self.suite, data, method, seed, rate, args.epochs
                )
                for seed in args.seeds
                for data in args.data
                for method in args.methods
                for rate in self.suite.methods[method].rates
            ]
        )

    def compared(self, rates: dict) -> list[ConfigRun]:
        """Return the runs to compare, with these or the recipes' rates."""
        args = self.args
        return comparison_runs(
            self.suite,
            args.data,
            args.methods,
            args.seeds,
            args.epochs,
            args.gpus,
            rates,
        )

    def tried(self, store: Store) -> list[RunResult]:
        """Return results of all rates tried, by an earlier call too."""
        if not self.suite.tuned:
            return []
        return [r for r in map(store.finished, self.tuning()) if r]

    def chosen(self, store: Store) -> list[ConfigRun]:
        """Return the runs to compare, with the best of the rates tried."""
        rates = {}
        if self.args.tune:
            rates = chosen_rates(group_tuning(self.tried(store), 1))
        return matching(self.compared(rates), self.args.only)


def check_gpus(args: argparse.Namespace, suite: Suite) -> None:
    """Refuse more GPUs than there are.

    Raises:
        ValueError: With the value to give.
    """
    import torch

    if suite.gpus == 1:
        if args.gpus != 1:
            raise ValueError(
                f'--gpus {args.gpus}: the runs of --suite {args.suite} take '
                'one process, --jobs of them at the same time: leave it out.'
            )
        return
    if args.jobs > 1:
        raise ValueError(
            f'--jobs {args.jobs}: each run of --suite {args.suite} takes all '
            'GPUs: leave it out.'
        )
    count = torch.cuda.device_count()
    if count < args.gpus and not args.report_only:
        raise ValueError(
            f'--gpus {args.gpus}, but this machine has {count}: give --gpus '
            f'{count}.'
            if count
            else f'--suite {args.suite} trains ResNet-50 on GPUs, and this '
            'machine has none; --suite small runs on a CPU.'
        )


def parse(argv: list[str]) -> tuple[Comparison, Store]:
    """Read the command line; ends the program if something is wrong."""
    parser = get_parser()
    args = parser.parse_args(argv)
    try:
        comparison = Comparison.from_args(args)
        runs = comparison.possible()
        chosen = choose(runs, args.only)
        if not args.report_only:
            check_images(chosen)
        store = open_store(comparison.args.out)
        store.megabytes = comparison.suite.megabytes
        if args.known is not None:
            taken, changed = store.take_known(args.known, chosen)
            say(f'{taken} results of {len(chosen)} runs: from {args.known}.')
            if changed:
                say(f'{changed} not taken: their configs have changed since.')
    except (ValueError, ImportError, OSError, RuntimeError) as error:
        parser.error(str(error))
    return comparison, store


def _once(runs: list[ConfigRun]) -> list[ConfigRun]:
    """Drop runs of a name that has come before."""
    return list({run.name: run for run in runs}.values())


def write_report(comparison: Comparison, store: Store, command: str) -> None:
    """Write the report of what is there, and print it."""
    args, suite = comparison.args, comparison.suite
    runs = comparison.chosen(store)
    wanted = list(runs)
    if args.tune:
        wanted += matching(comparison.tuning(), args.only)
    results, gaps = store.results_and_gaps(_once(wanted))
    names = {run.name for run in runs}
    grouped = group([result for result in results if result.name in names])
    tried = group_tuning(comparison.tried(store))
    docs = args.docs or Path(args.out)
    if args.docs is None and comparison.is_whole:
        missing = missing_from(suite, grouped, tried, _DOCS)
        if missing:
            say(
                f"The report goes to '{docs}': that in '{_DOCS}' has "
                f'{missing} results which are not here (--known begins with '
                'them, --docs replaces it all the same).'
            )
        else:
            docs = _DOCS
    text, files = write_documents(suite, grouped, tried, docs, command, gaps)
    print(text)
    for path in files:
        say(f'written: {path}')


def _reproducing(argv: list[str]) -> list[str]:
    """Drop the options that say only where results come from."""
    rest = argparse.ArgumentParser(add_help=False)
    rest.add_argument('--known')
    for name in ('--report-only', '--force'):
        rest.add_argument(name, action='store_true')
    return rest.parse_known_args(argv)[1]


def main(argv: list[str] | None = None) -> None:
    """Run what is missing, write the report."""
    argv = sys.argv[1:] if argv is None else argv
    comparison, store = parse(argv)
    args = comparison.args
    command = f'{_NAME} {shlex.join(_reproducing(argv))}'
    stages = [lambda: comparison.chosen(store)]
    if args.tune:
        stages.insert(0, lambda: matching(comparison.tuning(), args.only))
    run_and_report(
        args,
        stages,
        store,
        lambda: write_report(comparison, store, command),
        WorkerProcesses(args.jobs, gpus=args.gpus),
    )


if __name__ == '__main__':
    main()
