# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""k-nearest-neighbour accuracy of the frozen features of any checkpoint."""

from __future__ import annotations

import argparse

import pauc_mm  # noqa: F401  (registers everything)
from pauc_mm.apis.frozen_features import add_arguments, run_tool
from pauc_mm.transfer import evaluate_knn
from pauc_mm.transfer.tables import knn_table

EXAMPLES = """examples:
  python tools/benchmarks/knn.py work_dirs/quickstart/epoch_120.pth
  python tools/benchmarks/knn.py moco_v2_800ep_pretrain.pth.tar \\
      --train photos/train --test photos/test --k 1 5 20 --temperature 0.07

Each of the k nearest training images votes with exp(cosine / temperature).
"""


def get_parser() -> argparse.ArgumentParser:
    """Command line of this program."""
    parser = argparse.ArgumentParser(
        prog='knn',
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    parser.add_argument(
        '--k',
        type=int,
        nargs='+',
        default=[20, 200],
        metavar='K',
        help='numbers of neighbours (20 200)',
    )
    parser.add_argument(
        '--temperature',
        type=float,
        default=0.1,
        metavar='T',
        help='of the votes (%(default)s)',
    )
    return parser


def evaluate(options, args) -> dict:
    """Figures of the parsed command line."""
    return evaluate_knn(options, args.k, args.temperature)


def main(argv=None) -> dict:
    """Evaluate and print."""
    return run_tool(get_parser(), evaluate, knn_table, argv)


if __name__ == '__main__':
    main()
