# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A linear classifier on the frozen, cached features of any checkpoint.

Trains 20 learning rates at once, chooses one by a held-out share of the
training images, and reports its accuracy on the test images.
"""

from __future__ import annotations

import argparse

import numpy as np

import pauc_mm  # noqa: F401  (registers everything)
from pauc_mm.apis.frozen_features import add_arguments, run_tool
from pauc_mm.transfer import evaluate_linear_probe
from pauc_mm.transfer.tables import probe_table

EXAMPLES = """examples:
  P=tools/benchmarks/linear_probe.py
  python $P work_dirs/quickstart/epoch_120.pth
  python $P moco_v2_800ep_pretrain.pth.tar --train photos/train \\
      --test photos/test --workers 4 --out probe.json
  python $P work_dirs/run/epoch_200.pth --seeds 0 1 2 --weight-decays 0 1e-4

A second call, and those of the other tools, take the features from --cache.
"""


def get_parser() -> argparse.ArgumentParser:
    """Command line of this program."""
    parser = argparse.ArgumentParser(
        prog='linear_probe',
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    add = parser.add_argument
    add(
        '--seeds',
        type=int,
        nargs='+',
        metavar='N',
        help='train a probe for each of these, in the place of --seed',
    )
    add(
        '--learning-rates',
        type=float,
        nargs=2,
        default=[1e-4, 10.0],
        metavar=('LOW', 'HIGH'),
        help='lowest and highest (1e-4 10)',
    )
    add(
        '--num-rates',
        type=int,
        default=20,
        metavar='N',
        help='how many between them, evenly in the logarithm (%(default)s)',
    )
    add(
        '--weight-decays',
        type=float,
        nargs='+',
        default=[0.0],
        metavar='X',
        help='each with each learning rate (0)',
    )
    add(
        '--held-out',
        type=float,
        default=0.1,
        metavar='SHARE',
        help='of the training images, to choose by (%(default)s)',
    )
    add(
        '--epochs',
        type=int,
        metavar='N',
        help='passes over the training images (10, or 2,000 steps if more)',
    )
    add(
        '--probe-batch-size',
        type=int,
        default=256,
        metavar='N',
        help='images a step of the probe (%(default)s)',
    )
    return parser


def evaluate(options, args) -> dict:
    """Figures of the parsed command line."""
    low, high = args.learning_rates
    if not 0 < low <= high or args.num_rates < 1:
        raise ValueError(
            '--learning-rates must be 0 < LOW <= HIGH and --num-rates >= 1, '
            f'not {low:g} {high:g} and {args.num_rates}.'
        )
    return evaluate_linear_probe(
        options,
        args.seeds or [args.seed],
        np.geomspace(low, high, args.num_rates).tolist(),
        args.weight_decays,
        args.held_out,
        args.epochs,
        args.probe_batch_size,
    )


def main(argv=None) -> dict:
    """Evaluate and print."""
    return run_tool(get_parser(), evaluate, probe_table, argv)


if __name__ == '__main__':
    main()
