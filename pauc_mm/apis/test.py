# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""``tools/test.py``: evaluate a checkpoint with the metrics of a config."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import mmengine
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmpretrain.utils import get_ori_model

from .arguments import add_runner_arguments, make_parser
from .config import (
    build_runner,
    find_config,
    load_config,
    set_dataloader_defaults,
)

DESCRIPTION = """\
Evaluate a checkpoint with the metrics of a config: its test loop, or its
validation loop if there is no test loop.
"""
EXAMPLES = """examples:
  python tools/test.py configs/pauc_tiny_digits.py \\
      work_dirs/pauc_tiny_digits/epoch_120.pth --out metrics.json
  python tools/test.py configs/pauc_tiny_digits.py none
"""


def get_parser() -> argparse.ArgumentParser:
    """Return the command line of testing."""
    parser = make_parser(DESCRIPTION, EXAMPLES)
    add_runner_arguments(parser)
    parser.add_argument(
        'checkpoint',
        nargs='?',
        default='none',
        help='checkpoint file; "none", the default, evaluates the untrained '
        'model, the baseline of every result',
    )
    parser.add_argument(
        '--out', metavar='FILE', help='write the metrics to a .json file'
    )
    return parser


def use_val_for_test(cfg: Config) -> None:
    """Use the validation loop as test loop if a config has none.

    Args:
        cfg (Config): Changed in place.

    Raises:
        ValueError: It has neither a test nor a validation dataloader, or no
            evaluator.
    """
    if cfg.get('test_dataloader') is None:
        if cfg.get('val_dataloader') is None:
            raise ValueError(
                'the config has neither test_dataloader nor val_dataloader: '
                'nothing to evaluate on.'
            )
        cfg.test_dataloader = cfg.val_dataloader
        cfg.test_evaluator = cfg.get('val_evaluator')
        cfg.test_cfg = dict(cfg.get('val_cfg') or {})
        if 'type' in cfg.test_cfg:
            cfg.test_cfg.type = cfg.test_cfg.type.replace(
                'ValLoop', 'TestLoop'
            )
    if cfg.get('test_evaluator') is None:
        raise ValueError(
            'the config has no test_evaluator: name the metrics, for example '
            "test_evaluator=dict(type='KNNAccuracy')."
        )
    if cfg.get('test_cfg') is None:
        cfg.test_cfg = dict()


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Apply the options of testing to a config.

    Args:
        cfg (Config): Changed in place.
        args (Namespace): Options of :func:`get_parser`.

    Returns:
        Config: The same config.

    Raises:
        FileNotFoundError: The checkpoint does not exist.
        ValueError: The config has nothing to evaluate.
    """
    use_val_for_test(cfg)
    cfg.resume = False
    cfg.load_from = None if args.checkpoint == 'none' else args.checkpoint
    is_remote = '://' in (cfg.load_from or '')
    if cfg.load_from and not is_remote and not Path(cfg.load_from).is_file():
        raise FileNotFoundError(
            f"there is no checkpoint '{cfg.load_from}'; 'none' evaluates the "
            'untrained model.'
        )
    if args.amp:
        cfg.test_cfg.fp16 = True
    set_dataloader_defaults(cfg, False if args.no_pin_memory else None)
    return cfg


def format_metrics(metrics: dict) -> str:
    """Return a table of metrics, one line each.

    Args:
        metrics (dict[str, float]): Name to value.
    """
    width = max(len(name) for name in [*metrics, 'metric'])
    lines = [f'{"metric":<{width}}  value', f'{"-" * width}  ----------']
    for name, value in metrics.items():
        text = f'{value:.5g}' if isinstance(value, float) else str(value)
        lines.append(f'{name:<{width}}  {text}')
    return '\n'.join(lines)


def main(argv: Sequence[str] | None = None) -> dict:
    """Evaluate, print the metrics and write them.

    Args:
        argv (sequence of str, optional): Defaults to the command line.

    Returns:
        dict[str, float]: The metrics.
    """
    parser = get_parser()
    args = parser.parse_args(argv)
    if args.out and Path(args.out).suffix != '.json':
        parser.error(f"--out '{args.out}' must end in .json")
    path = find_config(args.config, parser)
    cfg = merge_args(load_config(args, path), args)
    runner = build_runner(cfg)
    if cfg.load_from is None:
        get_ori_model(runner.model).init_weights()
    metrics = runner.test()
    if is_main_process():
        print(format_metrics(metrics))
        if args.out:
            Path(args.out).resolve().parent.mkdir(parents=True, exist_ok=True)
            mmengine.dump(metrics, args.out, indent=2)
    return metrics
