# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Trains a model from a config."""

import argparse
from pathlib import Path

from mmengine.config import Config

import pauc_mm  # noqa: F401  (registers; makes pauc_mm:: paths resolve)
from pauc_mm.apis import config as cli

EXAMPLES = """examples:
  python tools/train.py configs/pauc_tiny_digits.py
  python tools/train.py configs/pauc_tiny_digits.py --resume
  DATA_ROOT=/my/images python tools/train.py configs/pauc_r18_folder.py \\
      --cfg-options 'model.num_clusters=[50,100,200]'
  bash tools/dist_train.sh configs/pauc_r50_8xb32_in1k.py 8 --amp
"""


def get_parser() -> argparse.ArgumentParser:
    """Command line of this program."""
    parser = argparse.ArgumentParser(
        description='Train a model from a config.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'config', help='config file, or pauc_mm::NAME for a shipped one'
    )
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from a checkpoint; without a value, or with "auto", from '
        'the latest one in the work directory, or from the start if there is '
        'none (write it after the config)',
    )
    parser.add_argument(
        '--no-validate',
        action='store_true',
        help='leave out the evaluation during training',
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help='scale the learning rate by the actual batch size over '
        "the config's auto_scale_lr.base_batch_size",
    )
    cli.add_common_arguments(parser)
    return parser


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Applies the options of training to a config.

    Args:
        cfg (Config): Changed in place.
        args (Namespace): Options.

    Returns:
        Config: The same config.

    Raises:
        FileNotFoundError: The checkpoint to resume from does not exist.
        ValueError: An option does not fit the config.
    """
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.amp:
        cli.enable_amp(cfg)
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume
        if cfg.load_from and not Path(cfg.load_from).is_file():
            raise FileNotFoundError(
                f"--resume: there is no checkpoint '{cfg.load_from}'; "
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
    cli.set_dataloader_defaults(cfg, False if args.no_pin_memory else None)
    return cfg


def main(argv=None) -> None:
    """Trains.

    Args:
        argv (list[str] or None): Arguments. Defaults to the command line.
    """
    parser = get_parser()
    args = parser.parse_args(argv)
    path = cli.find_config(args.config, parser)
    cfg = merge_args(cli.load_config(args, path), args)
    cli.build_runner(cfg).train()


if __name__ == '__main__':
    main()
