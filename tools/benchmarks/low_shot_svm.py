# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Linear SVMs on the frozen features of k images of each class.

Pascal VOC 2007 (mAP) and any folders with one sub-folder for each class, such
as Places205 (accuracy): mean and deviation over five draws for each k.
"""

from __future__ import annotations

import argparse

import pauc_mm  # noqa: F401  (registers everything)
from pauc_mm.apis.frozen_features import add_arguments, run_tool
from pauc_mm.transfer import evaluate_low_shot
from pauc_mm.transfer.average_precision import MODES
from pauc_mm.transfer.linear_svm import COSTS
from pauc_mm.transfer.low_shot import SHOTS
from pauc_mm.transfer.tables import low_shot_table

EXAMPLES = """examples:
  S=tools/benchmarks/low_shot_svm.py
  python $S work_dirs/quickstart/epoch_120.pth
  python $S PCL_v1_epoch200.pth.tar --voc VOCdevkit --jobs 2
  python $S PCL_v1_epoch200.pth.tar --voc VOCdevkit --costs 0.5 \\
      --difficult negative                      # the settings of PCL's code
  python $S work_dirs/run/epoch_200.pth --train places205/train \\
      --test places205/val --shots 1 2 4 8 16 --costs 0.01 0.1 1 10

Costs are chosen by cross-validation on the k images, of 26 from 1e-7 to 100
(for one image a class there is nothing to validate with: 0.5, as PCL's code);
one cost is taken as it is. Without 'full' only the images that are drawn are
embedded. Many classes take long: see --costs and --jobs.
"""


def get_parser() -> argparse.ArgumentParser:
    """Command line of this program."""
    parser = argparse.ArgumentParser(
        prog='low_shot_svm',
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser, voc=True)
    add = parser.add_argument
    add(
        '--shots',
        type=_shot,
        nargs='+',
        default=list(SHOTS),
        metavar='K',
        help="images of each class, or 'full' (1 2 4 8 16 full)",
    )
    add(
        '--draws',
        type=int,
        default=5,
        metavar='N',
        help='draws for each K (%(default)s)',
    )
    add(
        '--costs',
        type=float,
        nargs='+',
        default=list(COSTS),
        metavar='C',
        help='to choose from (10^-7 to 10^2 and 2^-19 to 2^-4)',
    )
    add(
        '--ap',
        choices=MODES,
        default=MODES[0],
        help='area under the precision-recall curve, as in the papers, or '
        "VOC07's own 11 points (%(default)s)",
    )
    add(
        '--jobs',
        type=int,
        default=1,
        metavar='N',
        help='processes that fit SVMs (%(default)s)',
    )
    return parser


def evaluate(options, args) -> dict:
    """Figures of the parsed command line."""
    return evaluate_low_shot(
        options,
        args.shots,
        sorted(args.costs),
        args.draws,
        args.seed,
        args.ap,
        args.jobs,
    )


def main(argv=None) -> dict:
    """Evaluate and print."""
    return run_tool(get_parser(), evaluate, low_shot_table, argv)


def _shot(text: str):
    return text if text == 'full' else int(text)


if __name__ == '__main__':
    main()
