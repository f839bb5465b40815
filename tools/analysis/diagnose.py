# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Has it collapsed, and where? A report on any self-supervised ResNet."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import pauc_mm  # noqa: F401  (registers everything)
from pauc_mm.apis.encoder_arguments import add_encoder_arguments
from pauc_mm.diagnosis import compare, diagnose
from pauc_mm.diagnosis.report import criteria_rows, format_figure

EXAMPLES = """examples:
  D=tools/analysis/diagnose.py
  python $D work_dirs/quickstart/epoch_120.pth --labels
  python $D moco_v2_800ep_pretrain.pth.tar --data photos
  python $D swav_800ep_pretrain.pth.tar --data imagenet/val --labels
  python $D --compare work_dirs/run/epoch_*.pth --data photos

Checkpoints of pauc_mm, mmpretrain, the official MoCo, PCL, SwAV, DINO
ResNets, and of torchvision are recognised. Without --data the images are those
that the checkpoint's config tests on. A second call does only what is new.
"""


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
        help='cluster the images into K by k-means, also if the model has '
        'prototypes; by default N / 100 and N / 20 if it has none',
    )
    add(
        '--max-images',
        type=int,
        default=50_000,
        metavar='N',
        help='draw so many if there are more (%(default)s)',
    )
    add(
        '--epsilon',
        type=float,
        default=0.025,
        help='cosine distance below which a prototype is a copy (%(default)s)',
    )
    add('--no-tsne', action='store_true', help='leave out the t-SNE map')
    add_encoder_arguments(parser)
    return parser


def main(argv=None) -> None:
    """Diagnose and say where the report is."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if bool(args.checkpoint) == bool(args.compare):
        parser.error('give one CHECKPOINT, or several after --compare.')
    for option in ('batch_size', 'workers'):
        least = int(option == 'batch_size')
        if getattr(args, option) < least:
            parser.error(f'--{option.replace("_", "-")} must be >= {least}.')
    options = dict(
        data=args.data,
        config=args.config,
        with_labels=args.labels,
        num_clusters=args.clusters,
        max_images=args.max_images,
        image_size=args.image_size,
        corrupt=args.corrupt,
        momentum=args.momentum,
        epsilon=args.epsilon,
        tsne=not args.no_tsne,
        batch_size=args.batch_size,
        num_workers=args.workers,
        device=args.device,
        seed=args.seed,
        trust=args.trust_checkpoint,
    )
    start = time.perf_counter()
    try:
        if args.compare:
            out = args.out or 'work_dirs/diagnosis/comparison'
            page = compare(args.compare, out, **options)
        else:
            out = args.out or Path('work_dirs/diagnosis') / '_'.join(
                Path(args.checkpoint).absolute().with_suffix('').parts[-2:]
            )
            report = diagnose(args.checkpoint, out, **options)
            print_report(report)
            page = Path(out) / 'report.html'
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f'diagnose: {error}')
    print(f'\nreport: {page.absolute()}')
    print(f'({time.perf_counter() - start:.0f} s)')


def print_report(report: dict) -> None:
    """The verdict and the table as text."""
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
            f'{criterion.name:<30}{format_figure(value):>9}  '
            f'{level or "":<8}{criterion.healthy}'
        )


if __name__ == '__main__':
    main()
