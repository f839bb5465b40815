# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Diagnose collapse in any self-supervised checkpoint."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import fields
from pathlib import Path

import pauc_mm  # noqa: F401  (registers everything)
from pauc_mm.apis.encoder_arguments import add_encoder_arguments
from pauc_mm.diagnosis import DiagnosisOptions, compare, diagnose
from pauc_mm.diagnosis.report import criteria_rows, format_number

EXAMPLES = """examples:
  D=tools/analysis/diagnose.py
  python $D work_dirs/quickstart/epoch_120.pth --labels
  python $D moco_v2_800ep_pretrain.pth.tar --data photos
  python $D swav_800ep_pretrain.pth.tar --data imagenet/val --labels
  python $D --compare work_dirs/run/epoch_*.pth --data photos

Checkpoints of pauc_mm, mmpretrain, the official MoCo, PCL, SwAV, DINO
ResNets, and of torchvision are recognised. Without --data the images are those
that the checkpoint's config tests on. A second call reuses what exists.
"""
OPTIONS = {field.name for field in fields(DiagnosisOptions)}


def get_parser() -> argparse.ArgumentParser:
    """Command line of this program."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add('checkpoint', nargs='?', help='file to diagnose')
    add(
        '--compare',
        nargs='+',
        metavar='CHECKPOINT',
        help='diagnose these and compare them; epochs of one run are drawn '
        'as curves',
    )
    add('--data', metavar='DIR', help='folder of images, at any depth')
    add(
        '--labels',
        action='store_true',
        help='use labels: the first-level sub-folders of DIR are the classes',
    )
    add(
        '--out',
        metavar='DIR',
        help='where to write the report; work_dirs/diagnosis/NAME by default',
    )
    add(
        '--clusters',
        type=int,
        nargs='+',
        metavar='K',
        help='cluster the images into K by k-means; default: N / 100 and '
        'N / 20 if the model has no prototypes',
    )
    add(
        '--max-images',
        type=int,
        default=50_000,
        metavar='N',
        help='most images, a sample of more (%(default)s)',
    )
    add(
        '--epsilon',
        type=float,
        default=0.025,
        help='cosine distance below which a prototype is a copy (%(default)s)',
    )
    add(
        '--no-tsne',
        action='store_false',
        dest='tsne',
        help='leave out the t-SNE map',
    )
    add_encoder_arguments(parser)
    return parser


def main(argv=None) -> None:
    """Diagnose and print the path of the report."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if bool(args.checkpoint) == bool(args.compare):
        parser.error('give one CHECKPOINT, or several after --compare.')
    given = {k: v for k, v in vars(args).items() if k in OPTIONS}
    try:
        options = DiagnosisOptions(**given)
    except ValueError as error:
        parser.error(str(error))
    start = time.perf_counter()
    try:
        if args.compare:
            out = args.out or 'work_dirs/diagnosis/comparison'
            page = compare(args.compare, out, options)
        else:
            out = args.out or Path('work_dirs/diagnosis') / '_'.join(
                Path(args.checkpoint).absolute().with_suffix('').parts[-2:]
            )
            report = diagnose(args.checkpoint, out, options)
            print_report(report)
            page = Path(out) / 'report.html'
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f'diagnose: {error}')
    print(f'\nreport: {page.absolute()}')
    print(f'({time.perf_counter() - start:.0f} s)')


def print_report(report: dict) -> None:
    """Print the verdict and the table."""
    verdict = report['verdict']
    print(f'\n{report["checkpoint"]} ({report["layout"]})')
    print(report['images'])
    print(f'\n{verdict["title"]}')
    for sentence in verdict['sentences']:
        print(f'- {sentence}')
    print(f'\n{"measure":<30}{"value":>9}  {"":<8}healthy')
    for row in criteria_rows([report['headline']]):
        value, level = row['cells'][0]
        criterion = row['criterion']
        print(
            f'{criterion.name:<30}{format_number(value):>9}  '
            f'{level or "":<8}{criterion.healthy}'
        )


if __name__ == '__main__':
    main()
