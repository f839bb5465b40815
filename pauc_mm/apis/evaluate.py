# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""``knn``, ``linear_probe`` and ``low_shot_svm`` of ``tools/benchmarks``."""

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from pauc_mm.transfer import (
    FeatureOptions,
    LowShotOptions,
    ProbeOptions,
    evaluate_knn,
    evaluate_linear_probe,
    evaluate_low_shot,
)
from pauc_mm.transfer.average_precision import MODES
from pauc_mm.transfer.features import SPACES
from pauc_mm.transfer.linear_svm import COSTS
from pauc_mm.transfer.low_shot import SHOTS
from pauc_mm.transfer.tables import knn_table, low_shot_table, probe_table
from pauc_mm.utils.files import write_json

from .arguments import Parser, add_encoder_arguments, check_outputs

KNN = 'Measure the k-nearest-neighbour accuracy of frozen features.'
KNN_EXAMPLES = """examples:
  python tools/benchmarks/knn.py work_dirs/quickstart/epoch_120.pth
  python tools/benchmarks/knn.py moco_v2_800ep_pretrain.pth.tar \\
      --train photos/train --test photos/test --k 1 5 20 --temperature 0.07

Each of the k nearest training images votes with exp(cosine / temperature).
"""
PROBE = """\
Train a linear classifier on the frozen, cached features of a checkpoint.
20 learning rates are trained at once. A held-out share of the training images
chooses one of them, whose accuracy on the test images is reported.
"""
PROBE_EXAMPLES = """examples:
  P=tools/benchmarks/linear_probe.py
  python $P work_dirs/quickstart/epoch_120.pth
  python $P moco_v2_800ep_pretrain.pth.tar --train photos/train \\
      --test photos/test --workers 4 --out probe.json
  python $P work_dirs/run/epoch_200.pth --seeds 0 1 2 --weight-decays 0 1e-4

Later calls, of the other tools too, read the features from --cache.
"""
SVM = """\
Train linear SVMs on the frozen features of k images of each class.
Data are Pascal VOC 2007 (mAP) or folders with one sub-folder for each class,
such as Places205 (accuracy). For each k the mean and the standard deviation
over five draws are reported.
"""
SVM_EXAMPLES = """examples:
  S=tools/benchmarks/low_shot_svm.py
  python $S work_dirs/quickstart/epoch_120.pth
  python $S PCL_v1_epoch200.pth.tar --voc VOCdevkit --jobs 2
  python $S PCL_v1_epoch200.pth.tar --voc VOCdevkit --costs 0.5 \\
      --difficult negative                      # the settings of PCL's code
  python $S work_dirs/run/epoch_200.pth --train places205/train \\
      --test places205/val --shots 1 2 4 8 16 --costs 0.01 0.1 1 10

Cross-validation on the k images chooses the cost, of 26 from 1e-7 to 100. One
image a class cannot be validated on and uses 0.5, as PCL's code does; a single
--costs is used as it is. Without 'full' only the drawn images are embedded.
Many classes take long: see --costs and --jobs.
"""


def knn(argv: Sequence[str] | None = None) -> dict:
    """Run ``tools/benchmarks/knn.py``; see :func:`_run`."""
    parser = _get_parser('knn', KNN, KNN_EXAMPLES)
    parser.value('--k K', [20, 200], 'numbers of neighbours')
    parser.value('--temperature T', 0.1, 'temperature of the votes')

    def evaluate(options: FeatureOptions, args: Namespace) -> dict:
        return evaluate_knn(options, args.k, args.temperature)

    return _run(parser, evaluate, knn_table, argv)


def linear_probe(argv: Sequence[str] | None = None) -> dict:
    """Run ``tools/benchmarks/linear_probe.py``; see :func:`_run`."""
    parser = _get_parser('linear_probe', PROBE, PROBE_EXAMPLES)
    value = parser.value
    value('--seeds N', [int], 'train a probe for each seed, not for --seed')
    value(
        '--learning-rates',
        [1e-4, 10.0],
        'lowest and highest learning rate',
        nargs=2,
        metavar=('LOW', 'HIGH'),
    )
    value('--num-rates N', 20, 'learning rates, evenly spaced in logarithm')
    value('--weight-decays X', [0.0], 'weight decays to combine with each')
    value('--held-out SHARE', 0.1, 'share of the training images to choose by')
    value(
        '--epochs N',
        int,
        'passes over the training images (10, or 2,000 steps if more)',
    )
    value('--probe-batch-size N', 256, 'batch size of the probe')

    def evaluate(options: FeatureOptions, args: Namespace) -> dict:
        low, high = args.learning_rates
        if not 0 < low <= high or args.num_rates < 1:
            raise ValueError(
                '--learning-rates must be 0 < LOW <= HIGH and --num-rates >= '
                f'1, got {low:g} {high:g} and {args.num_rates}.'
            )
        probe_options = ProbeOptions(
            np.geomspace(low, high, args.num_rates).tolist(),
            args.weight_decays,
            args.held_out,
            args.epochs,
            args.probe_batch_size,
        )
        seeds = args.seeds or [args.seed]
        return evaluate_linear_probe(options, seeds, probe_options)

    return _run(parser, evaluate, probe_table, argv)


def low_shot_svm(argv: Sequence[str] | None = None) -> dict:
    """Run ``tools/benchmarks/low_shot_svm.py``; see :func:`_run`."""
    parser = _get_parser('low_shot_svm', SVM, SVM_EXAMPLES)
    parser.value(
        '--voc DIR',
        str,
        'use Pascal VOC 2007 instead: VOCdevkit, or the folder above or below '
        'it',
    )
    parser.value(
        '--difficult',
        'ignore',
        'an image that shows a class in difficult examples only is ignored '
        "for this class, or a negative, as in PCL's code",
        choices=['ignore', 'negative'],
    )
    shots = "images of each class, or 'full'"
    parser.value('--shots K', list(SHOTS), shots, type=_shots)
    add_low_shot_arguments(parser)
    costs = 'costs to choose from (10^-7 to 10^2 and 2^-19 to 2^-4)'
    parser.value('--costs C', [float], costs)
    parser.value(
        '--ap',
        MODES[0],
        'area under the precision-recall curve, as in the papers, or the 11 '
        'points of VOC07',
        choices=MODES,
    )

    def evaluate(options: FeatureOptions, args: Namespace) -> dict:
        costs = sorted(args.costs or COSTS)
        low_shot_options = LowShotOptions(
            args.shots, costs, args.draws, args.seed, args.ap, args.jobs
        )
        return evaluate_low_shot(options, low_shot_options)

    return _run(parser, evaluate, low_shot_table, argv)


def add_feature_arguments(parser: Parser) -> None:
    """Add the options of all evaluations of frozen features."""
    parser.add_argument(
        'checkpoint', help='file of pauc_mm, mmpretrain, torchvision, ...'
    )
    parser.value(
        '--train DIR',
        str,
        'your training images, one sub-folder for each class; default: the '
        "images that the checkpoint's config evaluates with",
    )
    parser.value('--test DIR', str, 'your test images, in the same classes')
    parser.value(
        '--cache DIR',
        'work_dirs/features',
        'folder that keeps features for later calls; "" keeps none',
    )
    add_encoder_arguments(parser)


def add_low_shot_arguments(parser: Parser) -> None:
    """Add the options of all low-shot evaluations."""
    parser.value('--draws N', 5, 'draws of the low-shot images')
    parser.value('--jobs N', 1, 'processes that fit SVMs')


def feature_options(
    parser: Parser, args: Namespace, without: Sequence[str] = ()
) -> FeatureOptions:
    """Return the options of features; wrong ones end the program."""
    names = {field.name for field in fields(FeatureOptions)} - set(without)
    given = {k: v for k, v in vars(args).items() if k in names}
    try:
        return FeatureOptions(**given)
    except ValueError as error:
        parser.error(str(error))


def _shots(text: str) -> int | str:
    return text if text == 'full' else int(text)


def _get_parser(prog: str, description: str, examples: str) -> Parser:
    """Return a parser of the options that all three share."""
    parser = Parser(description, examples, prog)
    add_feature_arguments(parser)
    parser.value(
        '--data-config CFG',
        str,
        'use the training and validation images of this config instead, for '
        'example '
        'configs/benchmarks/linear/resnet50_8xb32-linear-pcl-100e_in100.py',
    )
    parser.value(
        '--space',
        'feature',
        'features of the backbone, or the embedding after the projection',
        choices=SPACES,
    )
    parser.value('--out FILE.json', str, 'write the results to this file')
    return parser


def _run(
    parser: Parser,
    evaluate: Callable[[FeatureOptions, Namespace], dict],
    format_result: Callable[[dict], str],
    argv: Sequence[str] | None,
) -> dict:
    """Parse, evaluate, print and write; wrong input ends the program.

    Returns:
        dict: Result of ``evaluate``, as written to ``--out``.
    """
    args = parser.parse_args(argv)
    if args.out and not args.out.endswith('.json'):
        parser.error(f"--out '{args.out}' must end in .json")
    check_outputs(parser, out=args.out)
    check_outputs(parser, folder=True, cache=args.cache)
    if args.seed < 0:
        parser.error(f'--seed must be >= 0, got {args.seed}')
    options = feature_options(parser, args)
    try:
        result = evaluate(options, args)
    except (ValueError, RuntimeError, OSError) as error:
        sys.exit(f'{parser.prog}: {error}')
    result = dict(
        checkpoint=options.checkpoint, **result, options=asdict(options)
    )
    print(format_result(result))
    if args.out:
        out = Path(args.out)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_json(out, result)
        print(f'\nresults: {out}')
    return result
