# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The toy experiment of PAUC's figure 2: blobs in 3-D onto the unit circle.

Trains MoCo, PCL and PAUC, the registered models with their own losses and
E-step, on Gaussian blobs of 1000 points a class, and writes the table of the
measures over seeds and the picture of the embeddings. Less than ten minutes on
two cores; runs that are there already are not repeated.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from experiments.toy import METHODS, Run, Settings, check_run
from experiments.toy.figure import plot_toy
from experiments.toy.results import Results
from experiments.toy.schedule import perform_all
from experiments.toy.table import (
    READING,
    differences_table,
    measures_table,
)

SMALL = dict(
    classes=[3, 4],
    seeds=[0],
    samples=350,
    rounds=3,
    warmup_rounds=1,
    steps=3,
    batch_size=64,
    queue_len=128,
    jobs=1,
)


def get_parser() -> argparse.ArgumentParser:
    """Command line of this program."""
    default = Settings()
    names = '\n'.join(
        f'  {name:<14}{method.label}'
        + ('' if method.by_default else ' (not run unless named)')
        for name, method in METHODS.items()
    )
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=f'methods, PAUC with (alpha, beta, gamma):\n{names}\n\n'
        'examples:\n'
        '  python -m experiments.toy_blobs\n'
        '  python -m experiments.toy_blobs --classes 10 --methods moco pcl '
        'pauc-50-5-1 pauc-literal\n',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        '--classes',
        type=int,
        nargs='+',
        default=[10, 20, 30, 40, 50],
        metavar='C',
        help='numbers of classes, at least 2 (default: 10 20 30 40 50)',
    )
    add(
        '--seeds',
        type=int,
        nargs='+',
        default=[0, 1, 2],
        metavar='N',
        help='seeds of data, weights and order; the first is drawn '
        '(default: 0 1 2)',
    )
    add(
        '--methods',
        nargs='+',
        default=[name for name, m in METHODS.items() if m.by_default],
        metavar='NAME',
        help='what to compare, see below (default: those not marked there)',
    )
    add(
        '--out',
        default='work_dirs/toy_blobs',
        metavar='DIR',
        help='folder for toy_blobs.png, .md and .json '
        '(default: work_dirs/toy_blobs)',
    )
    add(
        '--jobs',
        type=int,
        default=_cores(),
        metavar='N',
        help='runs at the same time, each on one core and in about 1 GB '
        '(default: %(default)s, the cores here, at most 8)',
    )
    add(
        '--force',
        action='store_true',
        help='repeat runs that are in the folder already',
    )
    add(
        '--small',
        action='store_true',
        help='toy sizes, a few seconds, to see whether it works',
    )
    for name, text in (
        ('samples', 'points of a class'),
        ('rounds', 'rounds of training'),
        ('warmup_rounds', 'rounds of InfoNCE alone, before the first E-step'),
        ('steps', 'steps of a round'),
        ('batch_size', 'points a step'),
        ('queue_len', 'keys in the queue, a multiple of the batch'),
        ('noise', 'deviation of the noise that makes a view of a point'),
        ('spread', 'deviation of a class; its centre lies in [-1, 1]^3'),
        ('lr', 'learning rate of Adam'),
    ):
        value = getattr(default, name)
        add(
            f'--{name.replace("_", "-")}',
            type=type(value),
            default=value,
            metavar='N' if isinstance(value, int) else 'X',
            help=f'{text} (default: {value})',
        )
    return parser


def _cores() -> int:
    """Cores that this process may use, at most 8."""
    usable = getattr(os, 'sched_getaffinity', lambda pid: ())(0)
    return min(len(usable) or os.cpu_count() or 1, 8)


def parse(argv: list[str] | None = None) -> tuple:
    """Arguments, settings and runs; ends the program if one is wrong."""
    parser = get_parser()
    if parser.parse_args(argv).small:
        parser.set_defaults(**SMALL)
    args = parser.parse_args(argv)
    names = {field for field in Settings.__dataclass_fields__}
    given = {k: v for k, v in vars(args).items() if k in names}
    try:
        settings = Settings(**given)
        for name in ('classes', 'seeds', 'methods'):
            values = getattr(args, name)
            if len(set(values)) < len(values):
                raise ValueError(f'--{name} {values} names one twice.')
        runs = [
            Run(method, classes, seed)
            for classes in args.classes
            for method in args.methods
            for seed in args.seeds
        ]
        for run in runs:
            check_run(run, settings)
        if args.jobs < 1:
            raise ValueError(f'--jobs must be at least 1, not {args.jobs}.')
        results = Results(args.out)
    except (ValueError, NotADirectoryError) as error:
        parser.error(str(error))
    return args, settings, runs, results


def say(line: str) -> None:
    """Progress goes to stderr, so that stdout is a Markdown file."""
    print(line, file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> None:
    """Run what is missing, print the tables, draw the picture."""
    args, settings, runs, results = parse(argv)
    try:
        perform_all(runs, settings, results, args.jobs, args.force, say)
    except KeyboardInterrupt:
        say('Stopped. The finished runs are kept: start again to go on.')
        raise SystemExit(130) from None
    which = (results.records, args.methods, args.classes, args.seeds)
    text = (
        '## Blobs in 3-D onto the unit circle\n\n'
        f'Mean and deviation over {len(args.seeds)} seed(s); '
        f'{settings.samples} points a class, {settings.rounds} rounds of '
        f'{settings.steps} steps, {settings.warmup_rounds} of them warm-up. '
        f'{READING}\n\n{measures_table(*which)}\n'
    )
    if 'pcl' in args.methods and len(args.methods) > 1:
        text += (
            '\n## Differences to PCL, paired by seed\n\n'
            f'{differences_table(*which)}\n'
        )
    print(text)
    table = Path(args.out) / 'toy_blobs.md'
    table.write_text(text, encoding='utf-8')
    say('Drawing the picture ...')
    picture = plot_toy(
        results,
        args.methods,
        args.classes,
        args.seeds[0],
        settings,
        Path(args.out) / 'toy_blobs.png',
    )
    for name, path in (
        ('table', table),
        ('runs', results.path),
        ('picture', picture),
    ):
        say(f'{name}: {path}')


if __name__ == '__main__':
    main()
