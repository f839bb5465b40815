# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A labelled part of a data set, for semi-supervised fine-tuning.

Draws a share of the images of each class by a seed, or takes those that a
published list names, and writes them as mmpretrain's annotation file.
"""

from __future__ import annotations

import argparse
import os
import sys

import pauc_mm  # noqa: F401  (checks the installation)
from pauc_mm.datasets.image_list import (
    ImageList, read_annotations, read_class_folders, write_annotations,
)
from pauc_mm.datasets.subset_list import (
    check_classes, draw_rows, select_listed,
)

EXAMPLES = """examples:
  P=tools/data/draw_subset.py
  python $P data/imagenet/train --fraction 0.01 --seed 0 \\
      --out data/imagenet/meta/semi_1percent.txt
  python $P data/imagenet/train --list 10percent.txt \\
      --out data/imagenet/meta/semi_10percent.txt
  python $P data/photos/train --per-class 20 --out few.txt

The published lists of SimCLR, 1percent.txt and 10percent.txt, are in the
folder imagenet_subsets of github.com/google-research/simclr. A draw depends
on the seed and the names of classes and images alone, and the 1% of a seed is
a part of its 10%.
"""


def get_parser() -> argparse.ArgumentParser:
    """Command line of this program."""
    parser = argparse.ArgumentParser(
        prog='draw_subset',
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        'source',
        help='folder with one sub-folder for each class, such as '
        "data/imagenet/train; or a list with lines 'path label'",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        '--fraction',
        type=float,
        metavar='X',
        help='share of each class: X times its images, rounded, at least one',
    )
    which.add_argument(
        '--per-class', type=int, metavar='K', help='images of each class'
    )
    which.add_argument(
        '--list',
        metavar='FILE',
        help='take these images: a line for each, its file name or path',
    )
    add('--seed', type=int, default=0, metavar='N', help='of the draw (0)')
    add(
        '--min-per-class',
        type=int,
        default=1,
        metavar='K',
        help='a class with fewer in the result is an error (%(default)s)',
    )
    add('--out', required=True, metavar='FILE', help='list to write')
    add('--overwrite', action='store_true', help='replace --out if it exists')
    return parser


def select(args: argparse.Namespace) -> tuple[ImageList, ImageList]:
    """All images and those of the subset.

    Args:
        args (Namespace): Of the parser.

    Returns:
        tuple[ImageList, ImageList]: The source and what was taken of it.

    Raises:
        FileNotFoundError: If the source or the list does not exist.
        ValueError: If one is malformed or does not fit.
    """
    listed = os.path.isfile(args.source)
    images = (read_annotations if listed else read_class_folders)(args.source)
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


def main(argv=None) -> None:
    """Draw or convert, check and write.

    Args:
        argv (list[str] or None): Arguments. Defaults to the command line.
    """
    parser = get_parser()
    args = parser.parse_args(argv)
    if os.path.isdir(args.out):
        parser.error(
            f"--out '{args.out}' is a folder: name the file to write, such "
            f"as '{os.path.join(args.out, 'subset.txt')}'"
        )
    if os.path.exists(args.out) and not args.overwrite:
        parser.error(f"--out '{args.out}' exists; --overwrite replaces it")
    try:
        images, subset = select(args)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f'{parser.prog}: {error}')
    write_annotations(subset, args.out)
    of, got = images.counts(), subset.counts()
    print(
        f'{args.out}: {len(subset.paths)} of {len(images.paths)} images in '
        f'{len(subset.classes)} classes, {got.min()} to {got.max()} a class '
        f'(of {of.min()} to {of.max()})'
    )


if __name__ == '__main__':
    main()
