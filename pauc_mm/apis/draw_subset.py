# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""``tools/data/draw_subset.py``: a labelled part of a data set."""

import os
import sys
from argparse import Namespace
from collections.abc import Sequence

from pauc_mm.datasets.image_list import (
    ImageList,
    read_annotations,
    read_class_folders,
    write_annotations,
)
from pauc_mm.datasets.labelled_subset import (
    check_classes,
    draw_rows,
    select_listed,
)

from .arguments import Parser, check_outputs

DESCRIPTION = """\
Write a labelled part of a data set, for semi-supervised fine-tuning, as an
annotation file of mmpretrain. The images are drawn from each class by a seed,
or named by a published list.
"""
EXAMPLES = """examples:
  P=tools/data/draw_subset.py
  python $P data/imagenet/train --fraction 0.01 --seed 0 \\
      --out data/imagenet/meta/semi_1percent.txt
  python $P data/imagenet/train --list 10percent.txt \\
      --out data/imagenet/meta/semi_10percent.txt
  python $P data/photos/train --per-class 20 --out few.txt

The published lists of SimCLR, 1percent.txt and 10percent.txt, are in the
folder imagenet_subsets of github.com/google-research/simclr. A draw depends
only on the seed and the names of classes and images, and the 1% of a seed is
contained in its 10%.
"""


def get_parser() -> Parser:
    """Return the command line of draw_subset."""
    parser = Parser(DESCRIPTION, EXAMPLES, 'draw_subset')
    parser.add_argument(
        'source',
        help='folder with one sub-folder for each class, such as '
        "data/imagenet/train; or a list with lines 'path label'",
    )
    which = parser.add_mutually_exclusive_group(required=True).add_argument
    share = 'share of each class: X times its images, rounded, at least one'
    which('--fraction', type=float, metavar='X', help=share)
    which('--per-class', type=int, metavar='K', help='images of each class')
    listed = 'list of the images to take: one file name or path a line'
    which('--list', metavar='FILE', help=listed)
    parser.value('--seed N', 0, 'seed of the draw')
    parser.value(
        '--min-per-class K', 1, 'refuse a result in which a class has fewer'
    )
    parser.value('--out FILE', str, 'list to write', required=True)
    parser.switch('--overwrite', 'replace --out if it exists')
    return parser


def select(args: Namespace) -> tuple[ImageList, ImageList]:
    """Return all images and those of the subset.

    Raises:
        FileNotFoundError: The source or the list does not exist.
        ValueError: One of them is malformed or does not fit.
    """
    is_list = os.path.isfile(args.source)
    read = read_annotations if is_list else read_class_folders
    images = read(args.source)
    check_classes(images, args.per_class or 1)
    if args.list is not None:
        subset = select_listed(images, args.list)
    else:
        rows = draw_rows(
            images.labels, args.fraction, args.per_class, args.seed
        )
        subset = images.take(rows)
    check_classes(subset, args.min_per_class)
    return images, subset


def main(argv: Sequence[str] | None = None) -> None:
    """Draw or convert, check and write."""
    parser = get_parser()
    args = parser.parse_args(argv)
    check_outputs(parser, out=args.out)
    if os.path.exists(args.out) and not args.overwrite:
        parser.error(f"--out '{args.out}' exists; --overwrite replaces it")
    try:
        images, subset = select(args)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f'{parser.prog}: {error}')
    write_annotations(subset, args.out)
    total, taken = images.counts(), subset.counts()
    print(
        f'{args.out}: {len(subset.paths)} of {len(images.paths)} images in '
        f'{len(subset.classes)} classes, {taken.min()} to {taken.max()} a '
        f'class (of {total.min()} to {total.max()})'
    )
