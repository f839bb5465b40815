# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The way from command-line arguments to a runner."""

import logging
import os
from argparse import ArgumentParser, Namespace
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from mmengine.logging import MMLogger
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from pauc_mm.datasets.data_layout import check_config_data
from pauc_mm.engine.checks.config_keys import check_config_keys, check_option
from pauc_mm.engine.hooks import ProgressHook
from pauc_mm.engine.launch import prepare_launch
from pauc_mm.utils.checks import check_integer
from pauc_mm.utils.files import only_process_in
from pauc_mm.utils.shipped_files import (
    PREFIX,
    list_configs,
    near_configs,
    resolve_config,
)

GUARDS = dict(
    checkpoint_guard='CheckpointGuardHook',
    divergence='DivergenceHook',
    setup_check='SetupCheckHook',
)
_RANKS = dict(pytorch='RANK', slurm='SLURM_PROCID', mpi='OMPI_COMM_WORLD_RANK')


def find_config(name: str, parser: ArgumentParser) -> str:
    """Return the path of a config, a file or ``pauc_mm::NAME``.

    The parser ends the program if there is none.
    """
    if name.startswith(PREFIX):
        try:
            return resolve_config(name)
        except FileNotFoundError as error:
            parser.error(str(error))
    if Path(name).is_file():
        if Path(name).suffix not in ('.py', '.json', '.yml', '.yaml'):
            parser.error(
                f"'{name}' is no config, which ends in .py, .json, .yml or "
                '.yaml. The config comes first, then the checkpoint.'
            )
        return name
    shipped = near_configs(name) or list_configs()
    parser.error(
        f"config '{name}' is not a file (current folder: {os.getcwd()}). "
        'Did you mean one of:\n' + '\n'.join(PREFIX + c for c in shipped)
    )


def load_config(args: Namespace, path: str) -> Config:
    """Read a config and apply :func:`~.arguments.add_runner_arguments`.

    Returns:
        Config: With ``launcher`` and ``work_dir`` set. The folder is, in this
        order: the option, the config's own, ``work_dirs/NAME``.

    Raises:
        ValueError: If it cannot be read, or an option does not fit it.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    where = f"The config '{path}'"
    try:
        cfg = Config.fromfile(path)
        for key, value in (args.cfg_options or {}).items():
            where = f'--cfg-options {key}={value}'
            check_option(cfg, key)
            cfg.merge_from_dict({key: value})
    except Exception as error:  # a config is a program
        raise ValueError(
            f'{where}: {type(error).__name__}: {error}'
        ) from error
    cfg.launcher = args.launcher
    default = os.path.join('work_dirs', Path(path).stem)
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or default
    return cfg


def set_dataloader_defaults(
    cfg: Config, pin_memory: bool | None = None
) -> None:
    """Fill in what dataloaders need, bank dataloaders included.

    Memory is pinned where CUDA is available, and samples are collated as
    mmpretrain does, unless the config says otherwise. Workers cannot persist
    where there are none, so an inherited ``persistent_workers=True`` becomes
    False there. The config is changed in place; ``pin_memory`` overrules it.
    """
    for loop in ('train', 'val', 'test'):
        bank = (cfg.get(f'{loop}_cfg') or {}).get('bank_dataloader')
        for loader in (cfg.get(f'{loop}_dataloader'), bank):
            if not isinstance(loader, dict):
                continue
            loader.setdefault('collate_fn', ConfigDict(type='default_collate'))
            pinned = loader.get('pin_memory', torch.cuda.is_available())
            loader['pin_memory'] = pinned if pin_memory is None else pin_memory
            if loader.get('num_workers', 0) == 0:
                loader['persistent_workers'] = False


def enable_amp(cfg: Config) -> None:
    """Switch the optimizer wrapper of a config to mixed precision, in place.

    Raises:
        ValueError: The config has no ``optim_wrapper``, or one of a type that
            has no counterpart in mixed precision.
    """
    wrapper = cfg.get('optim_wrapper')
    kind = wrapper and wrapper.get('type', 'OptimWrapper')
    known = ('OptimWrapper', 'AmpOptimWrapper', 'CPUAmpOptimWrapper')
    if not kind or kind.split('.')[-1] not in known:
        raise ValueError(
            '--amp replaces an optim_wrapper of type OptimWrapper, but the '
            f'config has {kind}: set optim_wrapper.type in the config and '
            'leave out --amp.'
        )
    if torch.cuda.is_available():
        wrapper['type'] = 'AmpOptimWrapper'
        wrapper.setdefault('loss_scale', 'dynamic')
        return
    # The scope is for mmdet's configs.
    wrapper.update(type='mmpretrain.CPUAmpOptimWrapper', dtype='bfloat16')
    wrapper.pop('loss_scale', None)
    wrapper.pop('use_fsdp', None)


class _QuietRunner(Runner):
    """Runner that prints a line an epoch, and warnings; the rest is logged."""

    def build_logger(self, *args, **kwargs) -> MMLogger:
        """Build a logger that prints warnings only."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if not isinstance(handler, logging.FileHandler):
                handler.setLevel(max(handler.level, logging.WARNING))
                # mmengine warns of its own deprecated calls.
                handler.addFilter(lambda r: 'deprecated' not in r.getMessage())
        return logger


def build_runner(cfg: Config, quiet: bool = False) -> Runner:
    """Check keys and data folders, prepare the launch, build the runner.

    With ``quiet`` a training in epochs prints a line for each, see
    :class:`~pauc_mm.engine.hooks.ProgressHook`, and its log goes to the file.

    A training gets the hooks that guard its checkpoints and stop it when it
    diverges, whichever config it has inherited; ``default_hooks.NAME=None``
    switches one off.
    """
    cfg.default_hooks = cfg.get('default_hooks') or ConfigDict()
    hooks = cfg.default_hooks
    for name, kind in GUARDS.items():
        if name in hooks and hooks[name] is None:
            del hooks[name]  # switched off
        elif cfg.get('train_cfg') is not None:
            hooks.setdefault(name, ConfigDict(type=f'mmpretrain.{kind}'))
    check_config_keys(cfg)
    check_config_data(cfg)
    if (seed := (cfg.get('randomness') or {}).get('seed')) is not None:
        check_integer('randomness.seed', seed, 0)
    prepare_launch(cfg)
    loop = cfg.get('train_cfg') or {}
    epochs = loop.get('by_epoch') or loop.get('type') == 'EpochBasedTrainLoop'
    quiet = quiet and epochs and 'runner_type' not in cfg
    kind = _QuietRunner if quiet else Runner
    build = RUNNERS.build if 'runner_type' in cfg else kind.from_cfg
    runner = build(cfg)
    if quiet:
        runner.register_hook(ProgressHook())
    if base := (runner.auto_scale_lr or {}).get('base_batch_size'):
        # mmengine compares it with one batch, the optimizer sees several.
        base /= accumulated_batches(cfg)
        runner.auto_scale_lr = dict(runner.auto_scale_lr, base_batch_size=base)
    return runner


def accumulated_batches(cfg: Config) -> int:
    """Return the batches of a step of the optimizer on each process."""
    counts = (cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1)
    return check_integer('optim_wrapper.accumulative_counts', counts, 1)


def lock_folder(
    folder: str | Path, launcher: str = 'none'
) -> AbstractContextManager[None]:
    """Keep a second program out of the folder that this one works in.

    The first process of a launcher locks it for all.

    Raises:
        RuntimeError: If another program has locked it, see
            :func:`~pauc_mm.utils.files.only_process_in`.
    """
    first = os.environ.get(_RANKS.get(launcher, ''), '0') == '0'
    return only_process_in(Path(folder)) if first else nullcontext()
