# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What tools/train.py and tools/test.py share: from arguments to a config."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict, DictAction
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from pauc_mm.compat.config_paths import (
    PREFIX,
    list_configs,
    near_configs,
    resolve_config,
)
from pauc_mm.datasets.data_layout import check_layout
from pauc_mm.engine.launch import prepare_launch

LOOPS = ('train', 'val', 'test')


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that training and testing have in common.

    Args:
        parser (ArgumentParser): Changed in place.
    """
    parser.add_argument(
        '--work-dir',
        metavar='DIR',
        help='folder for logs, checkpoints and results; by default '
        'work_dirs/NAME_OF_THE_CONFIG',
    )
    parser.add_argument(
        '--amp',
        action='store_true',
        help='automatic mixed precision: float16 with loss scaling on a GPU, '
        'bfloat16 on a CPU',
    )
    parser.add_argument(
        '--no-pin-memory',
        action='store_true',
        help='never pin host memory in the dataloaders (by default it is '
        'pinned where CUDA is available)',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='change settings of the config, for example '
        'train_dataloader.batch_size=64 "model.num_clusters=[50,100]"; '
        'quote lists and leave no spaces in them',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='how the processes were started; the dist_*.sh and slurm_*.sh '
        'scripts set it',
    )
    parser.add_argument(
        '--local_rank',
        '--local-rank',
        type=int,
        default=0,
        help=argparse.SUPPRESS,
    )


def find_config(name: str, parser: argparse.ArgumentParser) -> str:
    """Path of the config that a user named.

    Args:
        name (str): A file, or ``pauc_mm::NAME`` for a shipped config.
        parser (ArgumentParser): Ends the program if there is no such file.

    Returns:
        str: Path of an existing file.
    """
    if name.startswith(PREFIX):
        try:
            return resolve_config(name)
        except FileNotFoundError as error:
            parser.error(str(error))
    if Path(name).is_file():
        return name
    message = f"config '{name}' is not a file (current folder: {os.getcwd()})."
    near = near_configs(name)
    if near:
        # configs/NAME.py of a checkout is configs/METHOD/NAME.py.
        paths = [Path(name).parent / config for config in near]
        if not all(path.is_file() for path in paths):
            paths = [PREFIX + config for config in near]
        parser.error(f'{message} Did you mean {", ".join(map(str, paths))}?')
    shipped = '\n'.join(f'  {PREFIX}{config}' for config in list_configs())
    parser.error(f'{message} Configs that come with pauc_mm:\n{shipped}')


def load_config(args: argparse.Namespace, path: str) -> Config:
    """Reads a config and applies the common options.

    Args:
        args (Namespace): From a parser with :func:`add_common_arguments`.
        path (str): Path of the config.

    Returns:
        Config: With ``launcher`` and ``work_dir`` set. The folder is, in this
        order: the option, the config's own, ``work_dirs/NAME``.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = Config.fromfile(path)
    if args.cfg_options is not None:
        _refuse_plain_variables(cfg, args.cfg_options)
        cfg.merge_from_dict(args.cfg_options)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = os.path.join('work_dirs', Path(path).stem)
    return cfg


def _refuse_plain_variables(cfg: Config, options: dict) -> None:
    """Variables of a config file are read before options are applied.

    Raises:
        ValueError: An option would set one and change nothing.
    """
    for name in ('data_root', 'corrupt', 'image_size', 'dataset_type'):
        if name in options and name in cfg:
            raise ValueError(
                f'--cfg-options {name}=... changes nothing: {name} is a '
                'variable that the config has used already. Set the '
                'environment variable that the config reads it from '
                '(DATA_ROOT, CORRUPT and IMAGE_SIZE in pauc_r18_folder.py, '
                'IMAGENET_ROOT in the ImageNet recipes), or the key itself, '
                'such as train_dataloader.dataset.data_root.'
            )


def check_data_roots(cfg: Config) -> None:
    """Look for the data folders and lists before anything is built.

    Args:
        cfg (Config): Complete config.

    Raises:
        FileNotFoundError: One is missing; the message names its key.
    """
    for key in LOOPS:
        dataset = (cfg.get(f'{key}_dataloader') or {}).get('dataset') or {}
        root = dataset.get('data_root') if isinstance(dataset, dict) else None
        if root and '://' not in root and not os.path.isdir(root):
            raise FileNotFoundError(
                f'{key}_dataloader.dataset.data_root={root!r} is not a folder '
                f'(current folder: {os.getcwd()}). Set the environment '
                'variable that the config reads it from (IMAGENET_ROOT in '
                'the ImageNet recipes, DATA_ROOT in pauc_r18_folder.py, '
                'PLACES_ROOT, VOC_ROOT and COCO_ROOT in benchmarks, '
                'DIGIT_SCENES_ROOT for the scenes that '
                'experiments/make_digit_scenes.py makes), or this key.'
            )
        check_layout(f'{key}_dataloader.dataset', dataset)


def set_dataloader_defaults(
    cfg: Config, pin_memory: bool | None = None
) -> None:
    """Fills in what dataloaders need, bank dataloaders included.

    Memory is pinned where CUDA is available, and samples are collated as
    mmpretrain does, unless the config says otherwise. Workers cannot persist
    where there are none, so ``persistent_workers`` of an inherited config is
    taken back then; it is never set to True.

    Args:
        cfg (Config): Changed in place.
        pin_memory (bool or None): Overrules the config. Defaults to None.
    """
    loaders = [cfg.get(f'{loop}_dataloader') for loop in LOOPS]
    loops = [cfg.get(f'{loop}_cfg') or {} for loop in LOOPS]
    loaders += [loop.get('bank_dataloader') for loop in loops]
    for loader in loaders:
        if not isinstance(loader, dict):
            continue
        loader.setdefault('collate_fn', ConfigDict(type='default_collate'))
        loader.setdefault('pin_memory', torch.cuda.is_available())
        if pin_memory is not None:
            loader['pin_memory'] = pin_memory
        if loader.get('num_workers', 0) == 0:
            loader['persistent_workers'] = False


def enable_amp(cfg: Config) -> None:
    """Switches the optimizer wrapper of a config to mixed precision.

    Args:
        cfg (Config): Changed in place.

    Raises:
        ValueError: The config has no ``optim_wrapper``, or one of a type that
            has no counterpart in mixed precision.
    """
    wrapper = cfg.get('optim_wrapper')
    known = ('OptimWrapper', 'AmpOptimWrapper', 'CPUAmpOptimWrapper')
    kind = (wrapper or {}).get('type', 'OptimWrapper')
    if wrapper is None or kind.split('.')[-1] not in known:
        raise ValueError(
            f'--amp replaces an optim_wrapper of type {known[0]}, but the '
            f'config has {kind if wrapper else None}: set optim_wrapper.type '
            'in the config and leave out --amp.'
        )
    if torch.cuda.is_available():
        wrapper['type'] = 'AmpOptimWrapper'
        wrapper.setdefault('loss_scale', 'dynamic')
        return
    # With its scope, for mmdet's configs.
    wrapper['type'] = 'mmpretrain.CPUAmpOptimWrapper'
    wrapper['dtype'] = 'bfloat16'
    wrapper.pop('loss_scale', None)
    wrapper.pop('use_fsdp', None)


def build_runner(cfg: Config) -> Runner:
    """Prepares the launch and builds the runner.

    Args:
        cfg (Config): Complete config.

    Returns:
        Runner: Of ``cfg.runner_type`` if that is set.
    """
    check_data_roots(cfg)
    prepare_launch(cfg)
    if 'runner_type' in cfg:
        return RUNNERS.build(cfg)
    return Runner.from_cfg(cfg)
