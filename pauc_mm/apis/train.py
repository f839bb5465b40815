# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""``tools/train.py``: train a model from a config."""

import argparse
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from .arguments import Parser, add_runner_arguments
from .config import (
    build_runner,
    enable_amp,
    find_config,
    load_config,
    lock_folder,
    set_dataloader_defaults,
)

EXAMPLES = """examples:
  python tools/train.py configs/pauc_tiny_digits.py
  python tools/train.py configs/pauc_tiny_digits.py --resume
  DATA_ROOT=/my/images python tools/train.py configs/pauc_r18_folder.py \\
      --cfg-options 'model.num_clusters=[50,100,200]'
  bash tools/dist_train.sh configs/pauc_r50_8xb32_in1k.py 8 --amp
"""


def get_parser(
    description: str = 'Train a model from a config.', examples: str = EXAMPLES
) -> Parser:
    """Return the command line of training."""
    parser = Parser(description, examples)
    add_runner_arguments(parser)
    parser.value(
        '--resume CHECKPOINT',
        str,
        'resume from a checkpoint; without a value, or with "auto", from the '
        'latest one in the work directory, or from the start if there is none '
        '(write it after the config)',
        nargs='?',
        const='auto',
    )
    parser.add_argument(
        '--verbose',
        action=argparse.BooleanOptionalAction,
        default=not sys.stdout.isatty(),
        help='print the whole log. Otherwise, which is the default in a '
        'terminal, a line an epoch; the log is in the work directory',
    )
    parser.switch('--no-validate', 'skip the evaluation during training')
    parser.switch(
        '--auto-scale-lr',
        "scale the learning rate by the actual batch size over the config's "
        'auto_scale_lr.base_batch_size',
    )
    return parser


def merge_args(cfg: Config, args: Namespace) -> Config:
    """Apply the options of training to a config, in place.

    Raises:
        FileNotFoundError: The checkpoint to resume from does not exist.
        ValueError: An option does not fit the config.
    """
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        enable_amp(cfg)
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
        if cfg.load_from and not Path(cfg.load_from).is_file():
            raise FileNotFoundError(
                f"--resume: there is no checkpoint '{cfg.load_from}'. "
                '--resume without a value takes the latest one in '
                f"'{cfg.work_dir}'."
            )
    if args.auto_scale_lr:
        if not (cfg.get('auto_scale_lr') or {}).get('base_batch_size'):
            raise ValueError(
                '--auto-scale-lr needs auto_scale_lr.base_batch_size in the '
                'config, the batch size that its learning rate is meant for: '
                'auto_scale_lr=dict(base_batch_size=256) for a recipe of 256 '
                'images.'
            )
        cfg.auto_scale_lr.enable = True
    set_dataloader_defaults(cfg, False if args.no_pin_memory else None)
    return cfg


def main(argv: Sequence[str] | None = None) -> None:
    """Train."""
    parser = get_parser()
    args = parser.parse_args(argv)
    path = find_config(args.config, parser)
    cfg = merge_args(load_config(args, path), args)
    with lock_folder(cfg.work_dir, cfg.launcher):
        runner = build_runner(cfg, quiet=not args.verbose)
        runner.train()
