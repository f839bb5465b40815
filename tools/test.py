# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Evaluates a checkpoint, or the untrained model, with a config's metrics."""

import argparse
from pathlib import Path

import mmengine
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.model import is_model_wrapper

import pauc_mm  # noqa: F401  (registers; makes pauc_mm:: paths resolve)
from pauc_mm.apis import config as cli

EXAMPLES = """examples:
  python tools/test.py configs/pauc_tiny_digits.py \\
      work_dirs/pauc_tiny_digits/epoch_120.pth --out metrics.json
  python tools/test.py configs/pauc_tiny_digits.py none
"""


def get_parser() -> argparse.ArgumentParser:
    """Command line of this program."""
    parser = argparse.ArgumentParser(
        description="Evaluate a checkpoint with a config's metrics: the test "
        'loop, or the validation loop where there is none.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'config', help='config file, or pauc_mm::NAME for a shipped one'
    )
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
    cli.add_common_arguments(parser)
    return parser


def use_val_for_test(cfg: Config) -> None:
    """Makes the validation loop the test loop of a config without one.

    Args:
        cfg (Config): Changed in place.

    Raises:
        ValueError: It has neither a test nor a validation dataloader.
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
            kind = cfg.test_cfg.type.replace('ValLoop', 'TestLoop')
            cfg.test_cfg.type = kind
    if cfg.get('test_evaluator') is None:
        raise ValueError(
            'the config has no test_evaluator: name the metrics, for example '
            "test_evaluator=dict(type='KNNAccuracy')."
        )
    if cfg.get('test_cfg') is None:
        cfg.test_cfg = dict()


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Applies the options of testing to a config.

    Args:
        cfg (Config): Changed in place.
        args (Namespace): Options.

    Returns:
        Config: The same config.

    Raises:
        FileNotFoundError: The checkpoint does not exist.
        ValueError: The config has nothing to evaluate.
    """
    use_val_for_test(cfg)
    cfg.resume = False
    cfg.load_from = None if args.checkpoint == 'none' else args.checkpoint
    remote = '://' in (cfg.load_from or '')
    if cfg.load_from and not remote and not Path(cfg.load_from).is_file():
        raise FileNotFoundError(
            f"there is no checkpoint '{cfg.load_from}'; 'none' evaluates the "
            'untrained model.'
        )
    if args.amp:
        cfg.test_cfg.fp16 = True
    cli.set_dataloader_defaults(cfg, False if args.no_pin_memory else None)
    return cfg


def format_metrics(metrics: dict) -> str:
    """A table of metrics, one line each.

    Args:
        metrics (dict[str, float]): Name to value.

    Returns:
        str: Text of several lines.
    """
    width = max([len(name) for name in metrics] + [len('metric')])
    lines = [f'{"metric":<{width}}  value', f'{"-" * width}  ----------']
    for name, value in metrics.items():
        cell = f'{value:.5g}' if isinstance(value, float) else str(value)
        lines.append(f'{name:<{width}}  {cell}')
    return '\n'.join(lines)


def main(argv=None) -> dict:
    """Evaluates.

    Args:
        argv (list[str] or None): Arguments. Defaults to the command line.

    Returns:
        dict[str, float]: The metrics.
    """
    parser = get_parser()
    args = parser.parse_args(argv)
    if args.out and Path(args.out).suffix != '.json':
        parser.error(f"--out '{args.out}' must end in .json")
    path = cli.find_config(args.config, parser)
    cfg = merge_args(cli.load_config(args, path), args)
    runner = cli.build_runner(cfg)
    if cfg.load_from is None:
        model = runner.model
        model = model.module if is_model_wrapper(model) else model
        model.init_weights()
    metrics = runner.test()
    if is_main_process():
        print(format_metrics(metrics))
        if args.out:
            Path(args.out).resolve().parent.mkdir(parents=True, exist_ok=True)
            mmengine.dump(metrics, args.out, indent=2)
    return metrics


if __name__ == '__main__':
    main()
