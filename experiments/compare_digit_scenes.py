# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Compare detectors on scenes of digits, pretrained and from random weights.

Makes the scenes if they are missing, trains Faster R-CNN and Mask R-CNN with
the small backbone, frozen and trained, from each checkpoint and, with the same
seeds, from random weights, and writes a table of COCO's APs. Finished runs
are not repeated.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from experiments.digit_scenes import SceneSettings, write_scenes
from experiments.digit_scenes.scene_run import SceneRun, scene_run
from experiments.digit_scenes.scene_table import scene_table
from experiments.runner import write_results
from experiments.runner.command_line import (
    add_run_arguments,
    open_store,
    run_and_report,
)
from experiments.runner.scheduler import say
from pauc_mm.utils.files import write_text
from pauc_mm.utils.progress import progress

EXAMPLES = """examples:
  for seed in 0 1 2; do
    python tools/train.py configs/pauc/pauc_tiny_mnist.py \\
        --work-dir work_dirs/mnist_$seed --cfg-options randomness.seed=$seed
  done
  python -m experiments.compare_digit_scenes \\
      work_dirs/mnist_{0,1,2}/epoch_65.pth --jobs 2
"""


def get_parser() -> argparse.ArgumentParser:
    """Build the command line of this program."""
    parser = argparse.ArgumentParser(
        prog='compare_digit_scenes',
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        'checkpoints',
        nargs='+',
        help='of configs/pauc/pauc_tiny_mnist.py or another with the same '
        'backbone; the first is run with seed 0, the second with 1, ...',
    )
    add(
        '--name',
        default='PAUC',
        help='name of the checkpoints in the table (%(default)s)',
    )
    for name, choices, text in (
        ('detectors', ['faster-rcnn', 'mask-rcnn'], 'detectors to train'),
        (
            'backbones',
            ['frozen', 'trained'],
            'whether the weights of the backbone change',
        ),
    ):
        add(
            f'--{name}',
            nargs='+',
            choices=choices,
            default=choices,
            help=f'{text} (both)',
        )
    add(
        '--data',
        type=Path,
        default=os.environ.get('DIGIT_SCENES_ROOT', 'data/digit_scenes'),
        metavar='DIR',
        help='scenes of experiments/make_digit_scenes.py, made with its '
        'defaults if they are missing (%(default)s)',
    )
    add_run_arguments(parser, 'work_dirs/digit_scenes')
    add(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='changes to the configs of all runs',
    )
    return parser


def scene_runs(args: argparse.Namespace) -> list[SceneRun]:
    """Declare the runs; those of one seed are neighbours."""
    return [
        scene_run(
            detector,
            backbone,
            start,
            seed,
            source,
            args.data,
            args.cfg_options,
        )
        for detector in args.detectors
        for backbone in args.backbones
        for seed, checkpoint in enumerate(args.checkpoints)
        for start, source in (('random', 'none'), (args.name, checkpoint))
    ]


def check(args: argparse.Namespace) -> None:
    """Refuse wrong values.

    Raises:
        ValueError: Naming the option.
    """
    if args.name == 'random' or not args.name.replace('-', '').isalnum():
        raise ValueError(
            f'--name {args.name!r} must be letters and digits, and is not '
            '"random", the name of the other runs.'
        )
    for name in args.checkpoints:
        if not Path(name).is_file():
            raise ValueError(f"there is no checkpoint '{name}'.")
    if args.data.exists() and not (args.data / 'scenes.json').is_file():
        raise ValueError(
            f"--data '{args.data}' has no scenes.json: it is no folder of "
            'experiments/make_digit_scenes.py.'
        )
    for option in args.cfg_options:
        if '=' not in option:
            raise ValueError(f'--cfg-options {option!r} must be KEY=VALUE.')
    if find_spec('mmdet') is None:
        raise ValueError('mmdet is not installed: pip install mmdet.')


def main(argv: list[str] | None = None) -> None:
    """Run what is missing, print the table."""
    parser = get_parser()
    args = parser.parse_args(argv)
    try:
        check(args)
    except ValueError as error:
        parser.error(str(error))
    try:
        if not args.data.exists():
            say(f'Making scenes in {args.data} ...')
            write_scenes(args.data, SceneSettings(), progress=progress)
        store = open_store(args.out)
    except (OSError, ImportError) as error:
        sys.exit(f'{parser.prog}: {error}')
    runs = scene_runs(args)

    def report() -> None:
        results, gaps = store.results_and_gaps(runs)
        text = scene_table(results)
        if gaps:
            text += '\n\nNot in the tables:\n\n'
            text += '\n'.join(f'- {gap}' for gap in gaps)
        print(text)
        out = Path(args.out)
        write_text(out / 'comparison.md', text + '\n')
        write_results(out / 'comparison.json', results)
        say(f'written: comparison.md and .json in {out}')

    run_and_report(args, [lambda: runs], store, report)


if __name__ == '__main__':
    main()
