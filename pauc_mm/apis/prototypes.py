# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""``tools/analysis/prototypes.py``: the prototypes of checkpoints alone."""

import time
from collections.abc import Sequence
from pathlib import Path

from pauc_mm.diagnosis.prototypes import report_prototypes
from pauc_mm.diagnosis.report import format_number

from .arguments import (
    Parser,
    add_momentum_argument,
    add_trust_argument,
    check_outputs,
    run_name,
)

DESCRIPTION = """\
Measure the prototypes in checkpoints alone: how many are unique, KoLeo,
spectrum, groups of copies, and what was published. Writes HTML and JSON.
"""
EXAMPLES = """examples:
  P=tools/analysis/prototypes.py
  python $P dino_resnet50_pretrain_full_checkpoint.pth
  python $P dino_resnet50_pretrain_full_checkpoint.pth --momentum
  python $P webssl_dino_head.safetensors --out report
  python $P work_dirs/run/epoch_*.pth

Files of pauc_mm, mmpretrain, SwAV, DINO, iBOT, MSN, CARP, CAPI, DINOv2,
solo-learn and VISSL are recognised, so are heads and matrices (K, D) alone.
Several files are compared; epochs of one run are drawn as curves.
"""


def get_parser() -> Parser:
    """Return the command line."""
    parser = Parser(DESCRIPTION, EXAMPLES)
    files = dict(nargs='+', metavar='FILE', help='file with prototypes')
    parser.add_argument('files', **files)
    page = 'folder of the page; default: work_dirs/prototypes/NAME'
    parser.value('--out DIR', str, page)
    add_momentum_argument(parser)
    devices = ['auto', 'cpu', 'cuda']
    parser.value(
        '--device', 'auto', 'where they are compared', choices=devices
    )
    add_trust_argument(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and print the values, and where the page is."""
    parser = get_parser()
    args = parser.parse_args(argv)
    check_outputs(parser, folder=True, out=args.out)
    name = run_name(args.files[0]) if len(args.files) == 1 else 'comparison'
    out = Path(args.out or f'work_dirs/prototypes/{name}')
    start = time.perf_counter()
    report = report_prototypes(
        args.files, out, args.momentum, args.device, args.trust_checkpoint
    )
    told = None
    for measured in report['sets']:
        print_set(measured, notes=measured['notes'] != told)
        told = measured['notes']
    print(f'\nreport: {(out / "prototypes.html").absolute()}')
    print(f'({time.perf_counter() - start:.0f} s)')


def print_set(measured: dict, notes: bool = True) -> None:
    """Print what was measured of one set of prototypes."""
    number, dimension = measured['num_prototypes'], measured['dimension']
    epoch = measured['epoch']
    at = '' if epoch is None else f', epoch {epoch}'
    print(f'\n{measured["checkpoint"]} ({measured["layout"]}{at})')
    print(f'{measured["name"]}: {number:,} x {dimension}')
    for note in measured['notes'] if notes else ():
        print(f'- {note}')
    for epsilon, count in measured['unique'].items():
        share = f'({count / number:.1%})'
        print(f'unique at {epsilon:<6}{count:>9,} of {number:,} {share}')
    for entry in measured['published']:
        count, total = entry['unique'], entry['prototypes']
        print(f'published: {count:,} of {total:,} ({entry["model"]})')
    print(f'KoLeo           {format_number(measured["koleo"]):>9}')
    rank = format_number(measured['effective_rank'])
    print(f'effective rank  {rank:>9} of {dimension}')
    for group in measured['groups'][:3]:
        size, first = group['size'], group['first']
        print(f'group of {size:,} copies, the first of which is {first}')
