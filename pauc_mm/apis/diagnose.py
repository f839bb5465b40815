# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""``tools/analysis/diagnose.py``: has it collapsed, and where?"""

import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from pauc_mm.diagnosis import DiagnosisOptions, compare, diagnose
from pauc_mm.diagnosis.report import criteria_rows, format_number
from pauc_mm.embedding.preprocessing import input_line

from .arguments import Parser, add_encoder_arguments, check_outputs, run_name

DESCRIPTION = """\
Diagnose whether a self-supervised encoder or its prototypes have collapsed,
and where. Writes a report in HTML.
"""
EXAMPLES = """examples:
  D=tools/analysis/diagnose.py
  python $D work_dirs/quickstart/epoch_120.pth --labels
  python $D moco_v2_800ep_pretrain.pth.tar --data photos
  python $D swav_800ep_pretrain.pth.tar --data imagenet/val --labels
  python $D --compare work_dirs/run/epoch_*.pth --data photos

ResNets and vision transformers of pauc_mm, mmpretrain, timm, torchvision, the
official MoCo, PCL, SwAV, DINO, iBOT, MSN, CARP, DINOv2 and others are
recognised. Without --data the test images of the checkpoint's config are used.
A second call computes only what is new.
"""
OPTIONS = {field.name for field in fields(DiagnosisOptions)}


def get_parser() -> Parser:
    """Return the command line of the diagnosis."""
    parser = Parser(DESCRIPTION, EXAMPLES)
    parser.add_argument('checkpoint', nargs='?', help='file to diagnose')
    value = parser.value
    value(
        '--compare CHECKPOINT',
        [str],
        'diagnose these and compare them; epochs of one run are drawn as '
        'curves',
    )
    value('--data DIR', str, 'folder of images, at any depth')
    parser.switch(
        '--labels',
        'use labels: the first-level sub-folders of DIR are the classes',
    )
    value(
        '--out DIR',
        str,
        'folder of the report; default: work_dirs/diagnosis/NAME',
    )
    value(
        '--clusters K',
        [int],
        'cluster the images into K by k-means; default: N / 100 and N / 20 '
        'if the model has no prototypes',
    )
    value('--max-images N', 50_000, 'draw N images if there are more')
    value(
        '--epsilon',
        0.025,
        'cosine distance below which a prototype is redundant',
    )
    parser.add_argument(
        '--no-tsne',
        action='store_false',
        dest='tsne',
        help='leave out the t-SNE map',
    )
    add_encoder_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Diagnose and print where the report is."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if bool(args.checkpoint) == bool(args.compare):
        parser.error('give one CHECKPOINT, or several after --compare.')
    check_outputs(parser, folder=True, out=args.out)
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
            name = run_name(args.checkpoint)
            out = args.out or f'work_dirs/diagnosis/{name}'
            print_report(diagnose(args.checkpoint, out, options))
            page = Path(out) / 'report.html'
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f'diagnose: {error}')
    print(f'\nreport: {page.absolute()}')
    print(f'({time.perf_counter() - start:.0f} s)')


def print_report(report: dict) -> None:
    """Print the verdict and the table of a report."""
    verdict = report['verdict']
    print(f'\n{report["checkpoint"]} ({report["layout"]})')
    for note in report['notes']:
        print(f'- {note}')
    print(report['images'])
    print(input_line(report['input']))
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
