# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Every evaluation of PCL's and PAUC's papers that the data at hand allows.

Writes one table with the papers' figures beside ours, evaluations.md and
evaluations.json. What is done is not repeated by a second call.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path

import pauc_mm
from pauc_mm.apis.encoder_arguments import add_encoder_arguments
from pauc_mm.transfer import FeatureOptions
from pauc_mm.transfer.suite import (
    FAILED,
    Setup,
    all_tasks,
    check_checkpoint,
    find_data,
    roots_in_environment,
    run_tasks,
    suite_table,
    table_rows,
    why_not,
)
from pauc_mm.transfer.suite.data_at_hand import LAYOUTS

EXAMPLES = """examples:
  E=tools/benchmarks/evaluate_all.py
  python $E work_dirs/quickstart/epoch_120.pth
  python $E moco_v2_800ep_pretrain.pth.tar --data-root /data --list
  python $E work_dirs/pauc_r50_8xb32_in1k/epoch_200.pth --gpus 8 --workers 8
  python $E work_dirs/run/epoch_200.pth --train photos/train --test photos/test

below --data-root are looked for:
"""


def get_parser() -> argparse.ArgumentParser:
    """Command line of this program."""
    layouts = ''.join(
        f'  {name:<15}{folder}/: {", ".join(parts)}\n'
        for name, (folder, parts) in LAYOUTS.items()
    )
    names = '\n'.join(
        f'  {task.name:<23}{task.data}'
        + (', trains: needs --gpus' if task.fine_tunes else '')
        for task in all_tasks()
    )
    parser = argparse.ArgumentParser(
        prog='evaluate_all',
        description=__doc__,
        epilog=f'{EXAMPLES}{layouts}\nevaluations and their data:\n{names}\n',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('checkpoint', help='file of pauc_mm, mmpretrain, torchvision, ...')
    add(
        '--data-root',
        metavar='DIR',
        help='folder with the data sets of the papers, see below; without it '
        'where IMAGENET_ROOT, PLACES_ROOT, VOC_ROOT and COCO_ROOT say, or '
        'data',
    )
    add(
        '--train',
        metavar='DIR',
        help='your own training images, one sub-folder for each class; '
        "without it those that the checkpoint's config evaluates with",
    )
    add('--test', metavar='DIR', help='your own test images')
    add('--out', metavar='DIR', help='work_dirs/evaluations/NAME by default')
    add(
        '--tasks',
        nargs='+',
        metavar='NAME',
        help='only these evaluations, see below',
    )
    add(
        '--list',
        action='store_true',
        help='only say what would be run, and why the others would not',
    )
    add('--force', action='store_true', help='repeat what is done')
    add(
        '--gpus',
        type=int,
        default=0,
        metavar='N',
        help='run the evaluations that train a network too, with so many '
        'processes (0: leave them out)',
    )
    add(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='for the configs of those, see tools/train.py',
    )
    add(
        '--draws',
        type=int,
        default=5,
        metavar='N',
        help='of the low-shot images (%(default)s)',
    )
    add(
        '--jobs',
        type=int,
        default=1,
        metavar='N',
        help='processes of the SVMs (%(default)s)',
    )
    add(
        '--cache',
        default='work_dirs/features',
        metavar='DIR',
        help='where features are kept (%(default)s)',
    )
    add_encoder_arguments(parser)
    return parser


def make_setup(args, parser: argparse.ArgumentParser) -> Setup:
    """The setup that a user asked for; ends the program if it is wrong."""
    for name, least in (('gpus', 0), ('draws', 1), ('jobs', 1), ('seed', 0)):
        if getattr(args, name) < least:
            parser.error(f'--{name} must be >= {least}.')
    given = vars(args)
    names = {field.name for field in fields(FeatureOptions)}
    if not args.train:  # the data of the checkpoint's config has its own
        names.remove('image_size')
    try:
        options = FeatureOptions(
            **{k: v for k, v in given.items() if k in names}
        )
        data = find_data(args.data_root)
    except ValueError as error:
        parser.error(str(error))
    path = Path(args.checkpoint)
    out = args.out or Path('work_dirs/evaluations') / '_'.join(
        path.absolute().with_suffix('').parts[-2:]
    )
    if Path(out).exists() and not Path(out).is_dir():
        parser.error(f"--out '{out}' is a file; it must be a folder.")
    return Setup(
        options,
        data,
        Path(out),
        args.gpus,
        args.seed,
        args.draws,
        args.jobs,
        args.image_size,
        tuple(args.cfg_options),
        args.force,
    )


def choose(names: list[str] | None, parser: argparse.ArgumentParser) -> list:
    """The tasks that a user named, or all."""
    tasks = {task.name: task for task in all_tasks()}
    unknown = [name for name in names or () if name not in tasks]
    if unknown:
        parser.error(
            f'--tasks {" ".join(unknown)}: unknown; there are '
            f'{", ".join(tasks)}.'
        )
    return [task for task in tasks.values() if not names or task.name in names]


def main(argv=None) -> dict:
    """Evaluate, print the table and write it."""
    parser = get_parser()
    args = parser.parse_args(argv)
    setup = make_setup(args, parser)
    tasks = choose(args.tasks, parser)
    try:
        check_checkpoint(setup)
    except (ValueError, OSError) as error:
        sys.exit(f'{parser.prog}: {error}')
    with roots_in_environment(setup.data):
        if not args.list:
            return evaluate(args.checkpoint, tasks, setup)
        for task in tasks:
            reason = why_not(task, setup)
            told = f'not run, {reason}' if reason else 'would be run'
            print(f'{task.name}: {told}')
    return {}


def evaluate(checkpoint: str, tasks: list, setup: Setup) -> dict:
    """Run the tasks and write the table after each of them."""
    setup.out.mkdir(parents=True, exist_ok=True)
    title = f'Evaluations of {checkpoint}'

    def write(results: dict) -> None:
        page = suite_table(title, tasks, results)
        figures = dict(
            checkpoint=checkpoint,
            version=pauc_mm.__version__,
            rows=table_rows(tasks, results),
            tasks=results,
        )
        (setup.out / 'evaluations.md').write_text(page, encoding='utf-8')
        (setup.out / 'evaluations.json').write_text(
            json.dumps(figures, indent=2) + '\n', encoding='utf-8'
        )

    results = run_tasks(tasks, setup, keep=write)
    print(f'\n{suite_table(title, tasks, results)}')
    print(f'table: {setup.out / "evaluations.md"}')
    failed = [n for n, r in results.items() if r['status'] == FAILED]
    if failed:
        sys.exit(f'evaluate_all: {", ".join(failed)} failed, see above')
    return results


if __name__ == '__main__':
    main()
