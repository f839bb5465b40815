# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Detectors on scenes of digits, from checkpoints and from random weights.

Makes the scenes if they are not there, trains Faster R-CNN and Mask R-CNN
with the small backbone, frozen and trained, from each checkpoint and, with
the same seeds, from random weights, and writes a table of COCO's APs. Runs
that are there already are not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = """examples:
  for seed in 0 1 2; do
    python tools/train.py configs/pauc/pauc_tiny_mnist.py \\
        --work-dir work_dirs/mnist_$seed --cfg-options randomness.seed=$seed
  done
  python -m experiments.compare_digit_scenes \\
      work_dirs/mnist_{0,1,2}/epoch_65.pth --jobs 2
"""


def get_parser() -> argparse.ArgumentParser:
    """Command line of this program."""
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
        help='what the checkpoints are called in the table (%(default)s)',
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
        default=os.environ.get('DIGIT_SCENES_ROOT', 'data/digit_scenes'),
        metavar='DIR',
        help='scenes of experiments/make_digit_scenes.py, made with its '
        'defaults if they are not there (%(default)s)',
    )
    add(
        '--out',
        default='work_dirs/digit_scenes',
        metavar='DIR',
        help='folder for the runs, comparison.md and .json (%(default)s)',
    )
    add(
        '--jobs',
        type=int,
        default=1,
        metavar='N',
        help='runs at the same time, each on one core (%(default)s)',
    )
    add('--force', action='store_true', help='repeat runs that are there')
    add(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='changes to the configs of all runs',
    )
    return parser


def make_runs(args: argparse.Namespace) -> list:
    """The runs of a command line; those of one seed beside each other."""
    from experiments.digit_scenes.scene_run import SceneRun

    return [
        SceneRun(detector, backbone, start, seed, source)
        for detector in args.detectors
        for backbone in args.backbones
        for seed, checkpoint in enumerate(args.checkpoints)
        for start, source in (('random', 'none'), (args.name, checkpoint))
    ]


def check(args: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Ends the program with a message if something is wrong."""
    if args.jobs < 1:
        parser.error(f'--jobs must be at least 1, not {args.jobs}')
    if args.name == 'random' or not args.name.replace('-', '').isalnum():
        parser.error(
            f'--name {args.name!r} must be letters and digits, and is not '
            '"random", which the other runs are called'
        )
    for name in args.checkpoints:
        if not Path(name).is_file():
            parser.error(f"there is no checkpoint '{name}'")
    data = Path(args.data)
    if data.exists() and not (data / 'scenes.json').is_file():
        parser.error(
            f"--data '{data}' has no scenes.json: it is no folder of "
            'experiments/make_digit_scenes.py'
        )
    for option in args.cfg_options:
        if '=' not in option:
            parser.error(f'--cfg-options {option!r} must be KEY=VALUE')


def stop(number: int, frame) -> None:
    """Ends as Ctrl-C does, so that no training is left behind."""
    raise KeyboardInterrupt


def say(line: str) -> None:
    """Progress goes to stderr, so that stdout is a Markdown file."""
    print(line, file=sys.stderr, flush=True)


def main(argv=None) -> dict:
    """Run what is missing, print the table.

    Args:
        argv (list[str] or None): Arguments. Defaults to the command line.

    Returns:
        dict: What is in comparison.json.
    """
    parser = get_parser()
    args = parser.parse_args(argv)
    check(args, parser)
    try:
        from experiments.digit_scenes.scene_runs import SceneRuns
        from experiments.digit_scenes.scene_table import scene_table
    except ImportError as error:
        if error.name != 'mmdet':
            raise
        parser.error(str(error))
    from experiments.digit_scenes import SceneSettings, write_scenes
    from pauc_mm.utils.progress import progress

    if not Path(args.data).exists():
        say(f'Making scenes in {args.data} ...')
        try:
            write_scenes(args.data, SceneSettings(), progress=progress)
        except (FileExistsError, ImportError) as error:
            sys.exit(f'{parser.prog}: {error}')
    out = Path(args.out)
    runs = SceneRuns(
        out / 'runs',
        Path(args.data),
        ROOT / 'tools/benchmarks/detection/train.py',
        ROOT / 'configs/benchmarks/detection',
        args.cfg_options,
    )
    before = signal.signal(signal.SIGTERM, stop)
    try:
        wanted = make_runs(args)
        records = runs.perform(wanted, args.jobs, args.force, say)
    except KeyboardInterrupt:
        say('Stopped. The finished runs are kept: start again to go on.')
        raise SystemExit(130) from None
    except RuntimeError as error:
        sys.exit(f'{parser.prog}: {error}')
    finally:
        signal.signal(signal.SIGTERM, before)
    text = scene_table(records)
    print(text)
    record = dict(scenes=runs.scenes, runs=records)
    (out / 'comparison.md').write_text(text + '\n', encoding='utf-8')
    (out / 'comparison.json').write_text(
        json.dumps(record, indent=1) + '\n', encoding='utf-8'
    )
    say(f'table: {out / "comparison.md"}, figures: {out / "comparison.json"}')
    return record


if __name__ == '__main__':
    main()
