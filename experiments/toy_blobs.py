# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Toy experiment of PAUC's figure 2: blobs in 3-D onto the unit circle.

Trains MoCo, PCL and PAUC, the registered models with their own losses and
E-step, on Gaussian blobs of 1000 points a class, and writes the table of the
metrics over seeds and the picture of the embeddings. Less than ten minutes on
two cores; finished runs are not repeated.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from experiments.runner.command_line import (
    add_run_arguments,
    add_seeds,
    check_once,
    number,
    open_store,
    run_and_report,
)
from experiments.runner.provenance import usable_cores
from experiments.runner.scheduler import child_variables, say
from experiments.toy import METHODS, Settings, ToyRun, toy_run
from experiments.toy.plot import plot_toy
from experiments.toy.table import (
    READING,
    differences_table,
    group,
    metrics_table,
)
from experiments.toy.toy_run import ProcessPool
from pauc_mm.utils.files import write_json, write_text

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
    """Build the command line of this program."""
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
        type=number(2),
        nargs='+',
        default=[10, 20, 30, 40, 50],
        metavar='C',
        help='numbers of classes (default: 10 20 30 40 50)',
    )
    add_seeds(
        parser, 'data, weights and order; the first is drawn (default: 0 1 2)'
    )
    add(
        '--methods',
        nargs='+',
        default=[name for name, m in METHODS.items() if m.by_default],
        metavar='NAME',
        help='what to compare, see below (default: those not marked there)',
    )
    add_run_arguments(
        parser,
        'work_dirs/toy_blobs',
        jobs='%(default)s, the cores here, at most 8; each run takes one',
    )
    parser.set_defaults(jobs=min(usable_cores(), 8))
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


def parse(argv: list[str]) -> tuple:
    """Read arguments, settings, runs and store; ends on a wrong value."""
    parser = get_parser()
    if parser.parse_args(argv).small:
        parser.set_defaults(**SMALL)
    args = parser.parse_args(argv)
    names = Settings.__dataclass_fields__
    given = {k: v for k, v in vars(args).items() if k in names}
    try:
        settings = Settings(**given)
        check_once(args, 'classes', 'methods', 'seeds')
        runs = [
            toy_run(method, classes, seed, settings)
            for classes in args.classes
            for method in args.methods
            for seed in args.seeds
        ]
        store = open_store(args.out)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return args, settings, runs, store


def tables(
    args: argparse.Namespace,
    settings: Settings,
    results: list,
    gaps: list[str],
) -> str:
    """Write the tables of what there is."""
    grouped = group(results)
    parts = [
        '## Blobs in 3-D onto the unit circle',
        f'Mean and deviation over {len(args.seeds)} seed(s); '
        f'{settings.samples} points a class, {settings.rounds} rounds of '
        f'{settings.steps} steps, {settings.warmup_rounds} of them warm-up. '
        f'{READING}',
        metrics_table(grouped),
    ]
    if 'pcl' in args.methods and len(args.methods) > 1:
        parts.append('## Differences to PCL, paired by seed')
        parts.append(differences_table(grouped))
    if gaps:
        parts.append('## Not in the tables')
        parts.append('\n'.join(f'- {gap}' for gap in gaps))
    return '\n\n'.join(parts) + '\n'


def main(argv: list[str] | None = None) -> None:
    """Run what is missing, print the tables, draw the picture."""
    argv = sys.argv[1:] if argv is None else argv
    args, settings, runs, store = parse(argv)
    out = Path(args.out)

    def report() -> None:
        results, gaps = store.results_and_gaps(runs)
        text = tables(args, settings, results, gaps)
        print(text)
        write_text(out / 'toy_blobs.md', text)
        plain = [result.to_dict() for result in results]
        write_json(out / 'toy_blobs.json', plain)
        say(f'written: toy_blobs.md and .json in {out}')
        if gaps:
            say('No picture: it needs all runs.')
            return
        say('Drawing the picture ...')
        picture = out / 'toy_blobs.png'
        plot_toy(
            store,
            args.methods,
            args.classes,
            args.seeds[0],
            settings,
            picture,
        )
        say(f'written: {picture}')

    def longest_first() -> list[ToyRun]:
        return sorted(runs, key=lambda run: -run.setting['classes'])

    os.environ.update(child_variables(threads=1))
    pool = ProcessPool(args.jobs)
    try:
        run_and_report(args, [longest_first], store, report, pool)
    finally:
        pool.stop()


if __name__ == '__main__':
    main()
