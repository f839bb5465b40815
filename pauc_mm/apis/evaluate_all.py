# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""``tools/benchmarks/evaluate_all.py``: every evaluation of the papers."""

import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from pauc_mm.checkpoints import Encoder
from pauc_mm.datasets.data_layout import (
    LAYOUTS,
    find_data,
    roots_in_environment,
)
from pauc_mm.transfer.features import load_encoder
from pauc_mm.transfer.suite.run import FAILED, all_tasks, run_tasks, why_not
from pauc_mm.transfer.suite.table import suite_table, table_rows
from pauc_mm.transfer.suite.task import Setup, Task
from pauc_mm.utils.files import write_json, write_text
from pauc_mm.version import __version__

from .arguments import Parser, check_outputs, run_name
from .config import lock_folder
from .evaluate import (
    add_feature_arguments,
    add_low_shot_arguments,
    feature_options,
)

DESCRIPTION = """\
Run every evaluation of the PCL and PAUC papers for which data is available.
Writes evaluations.md and evaluations.json, one table of our results beside the
published ones. A second call runs only what is missing.
"""
EXAMPLES = """examples:
  E=tools/benchmarks/evaluate_all.py
  python $E work_dirs/quickstart/epoch_120.pth
  python $E moco_v2_800ep_pretrain.pth.tar --data-root /data --list
  python $E work_dirs/pauc_r50_8xb32_in1k/epoch_200.pth --gpus 8 --workers 8
  python $E work_dirs/run/epoch_200.pth --train photos/train --test photos/test

data sets below --data-root:
"""


def get_parser() -> Parser:
    """Return the command line of evaluate_all."""
    layouts = ''.join(
        f'  {name:<15}{folder}/: {", ".join(parts)}\n'
        for name, (folder, parts) in LAYOUTS.items()
    )
    tasks = '\n'.join(
        f'  {task.name:<23}{task.data}'
        + (', trains: needs --gpus' if task.fine_tunes else '')
        for task in all_tasks()
    )
    parser = Parser(
        DESCRIPTION,
        f'{EXAMPLES}{layouts}\nevaluations and their data:\n{tasks}\n',
        'evaluate_all',
    )
    add_feature_arguments(parser)
    value = parser.value
    value(
        '--data-root DIR',
        str,
        'folder with the data sets of the papers, see below; default: the '
        'folders in IMAGENET_ROOT, PLACES_ROOT, VOC_ROOT and COCO_ROOT, or '
        'data',
    )
    value(
        '--out DIR',
        str,
        'folder of the results; default: work_dirs/evaluations/NAME',
    )
    value('--tasks NAME', [str], 'run only these evaluations, see below')
    parser.switch(
        '--list', 'only list what would run, and why the rest would not'
    )
    parser.switch('--force', 'repeat finished evaluations')
    value(
        '--gpus N',
        0,
        'also run the evaluations that train a network, with this many '
        'processes; 0 skips them',
    )
    value('--cfg-options KEY=VALUE', [str], 'changes of the configs of those')
    add_low_shot_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> dict:
    """Evaluate, print the table and write it.

    Returns:
        dict: Results by task; empty with ``--list``.
    """
    parser = get_parser()
    args = parser.parse_args(argv)
    setup = _make_setup(args, parser)
    tasks = {task.name: task for task in all_tasks()}
    unknown = [name for name in args.tasks or () if name not in tasks]
    if unknown:
        known = ', '.join(tasks)
        parser.error(f'--tasks {" ".join(unknown)}: choose from {known}.')
    names = args.tasks or tasks
    chosen = [task for name, task in tasks.items() if name in names]
    try:
        encoder = load_encoder(setup.options)
    except (ValueError, OSError) as error:
        sys.exit(f'{parser.prog}: {error}')
    with roots_in_environment(setup.data):
        if not args.list:
            with lock_folder(setup.out):
                return _evaluate(args.checkpoint, chosen, setup, encoder)
        for task in chosen:
            reason = why_not(task, setup)
            status = f'not run, {reason}' if reason else 'would be run'
            print(f'{task.name}: {status}')
    return {}


def _make_setup(args: Namespace, parser: Parser) -> Setup:
    for name, least in (('gpus', 0), ('draws', 1), ('jobs', 1), ('seed', 0)):
        if getattr(args, name) < least:
            parser.error(f'--{name} must be >= {least}.')
    # The data of the checkpoint's config has a size of its own.
    without = () if args.train else ('image_size',)
    options = feature_options(parser, args, without)
    try:
        data = find_data(args.data_root)
    except ValueError as error:
        parser.error(str(error))
    name = run_name(args.checkpoint)
    out = Path(args.out or f'work_dirs/evaluations/{name}')
    check_outputs(parser, folder=True, out=out, cache=args.cache)
    shared = 'gpus', 'seed', 'draws', 'jobs', 'image_size', 'force'
    settings = {name: getattr(args, name) for name in shared}
    settings['cfg_options'] = tuple(args.cfg_options or ())
    return Setup(options, data, out, **settings)


def _evaluate(
    checkpoint: str, tasks: list[Task], setup: Setup, encoder: Encoder
) -> dict:
    """Run the tasks and write the table after each of them."""
    title = f'Evaluations of {checkpoint}'
    print('\n- '.join([f'encoder: {encoder.layout}', *encoder.notes]))

    def write(results: dict) -> None:
        table = suite_table(title, tasks, results)
        write_text(setup.out / 'evaluations.md', table)
        content = dict(checkpoint=checkpoint, version=__version__)
        content.update(layout=encoder.layout, notes=encoder.notes)
        content.update(rows=table_rows(tasks, results), tasks=results)
        write_json(setup.out / 'evaluations.json', content)

    results = run_tasks(tasks, setup, save=write)
    print(f'\n{suite_table(title, tasks, results)}')
    print(f'table: {setup.out / "evaluations.md"}')
    failed = [n for n, r in results.items() if r['status'] == FAILED]
    if failed:
        sys.exit(f'evaluate_all: {", ".join(failed)} failed, see above')
    return results
