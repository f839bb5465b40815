# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""``tools/test.py``: evaluate a checkpoint with the metrics of a config."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import mmengine
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmpretrain.utils import get_ori_model

from . import config as common
from .arguments import Parser, add_runner_arguments, check_outputs

DESCRIPTION = """\
Evaluate a checkpoint with the metrics of a config: its test loop, or its
validation loop if there is no test loop.
"""
EXAMPLES = """examples:
  python tools/test.py configs/pauc_tiny_digits.py \\
      work_dirs/pauc_tiny_digits/epoch_120.pth --out metrics.json
  python tools/test.py configs/pauc_tiny_digits.py none
"""


def get_parser() -> Parser:
    """Return the command line of testing."""
    parser = Parser(DESCRIPTION, EXAMPLES)
    add_runner_arguments(parser)
    parser.add_argument(
        'checkpoint',
        nargs='?',
        default='none',
        help='checkpoint file; "none", the default, evaluates the untrained '
        'model, the baseline of every result',
    )
    parser.value('--out FILE', str, 'write the metrics to a .json file')
    return parser


def use_val_for_test(cfg: Config) -> None:
    """Use the validation loop as test loop if a config has none, in place.

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
        if loop := cfg.test_cfg.get('type'):
            cfg.test_cfg.type = loop.replace('ValLoop', 'TestLoop')
    if cfg.get('test_evaluator') is None:
        raise ValueError(
            'the config has no test_evaluator: name the metrics, for example '
            "test_evaluator=dict(type='KNNAccuracy')."
        )
    if cfg.get('test_cfg') is None:
        cfg.test_cfg = dict()


def merge_args(cfg: Config, args: Namespace) -> Config:
    """Apply the options of testing to a config, in place.

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
    common.set_dataloader_defaults(cfg, False if args.no_pin_memory else None)
    return cfg


def format_metrics(metrics: dict) -> str:
    """Return a table of metrics, one line each."""
    width = max(len(name) for name in [*metrics, 'metric'])
    lines = [f'{"metric":<{width}}  value', f'{"-" * width}  ----------']
    for name, value in metrics.items():
        text = f'{value:.5g}' if isinstance(value, float) else str(value)
        lines.append(f'{name:<{width}}  {text}')
    return '\n'.join(lines)


def main(argv: Sequence[str] | None = None) -> dict:
    """Evaluate, print the metrics, write and return them."""
    parser = get_parser()
    args = parser.parse_args(argv)
    if args.out and Path(args.out).suffix != '.json':
        parser.error(f"--out '{args.out}' must end in .json")
    check_outputs(parser, out=args.out)
    path = common.find_config(args.config, parser)
    cfg = merge_args(common.load_config(args, path), args)
    runner = common.build_runner(cfg)
    if cfg.load_from is None:
        get_ori_model(runner.model).init_weights()
    metrics = runner.test()
    if is_main_process():
        print(format_metrics(metrics))
        if args.out:
            Path(args.out).resolve().parent.mkdir(parents=True, exist_ok=True)
            mmengine.dump(metrics, args.out, indent=2)
    return metrics
