# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Time an epoch of training with its E-step against MoCo v2's.

Every alternative is a real run of mmengine's Runner on MNIST images, without
validation and checkpoints; the first epoch of a run is not counted, and a run
gives the mean of the others. The runs take turns. "Recipe" has the E-step of
the ImageNet recipes, all others one for every epoch; with an online mixture
there is none.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import statistics
import tempfile
import time
import uuid
from pathlib import Path

from _harness import (
    Report,
    Timing,
    get_parser,
    parse,
    positive,
    rotated,
    say,
)
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

import pauc_mm  # noqa: F401

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
_base = Config.fromfile(CONFIGS / '_base_/clustering_runtime.py')
_hook = _base.default_hooks.clustering.to_dict()
RECIPE = {
    key: _hook[key]
    for key in ('interval', 'kmeans', 'features', 'channels_last')
    if key in _hook
}
BANK = dict(features='momentum_bank')
WARM = dict(kmeans=dict(warm_start=True))
BASELINE = 'MoCo v2 (mmpretrain)'
ALTERNATIVES = {
    BASELINE: ('mocov2', {}),
    'PCL, recipe': ('pclv2', RECIPE),
    'PAUC, recipe': ('pauc', RECIPE),
    'PCL, extract': ('pclv2', {}),
    'PCL, momentum_bank': ('pclv2', BANK),
    'PCL, momentum_bank, warm start': ('pclv2', {**BANK, **WARM}),
    'PAUC, extract': ('pauc', {}),
    'PAUC, extract, warm start': ('pauc', WARM),
    'PAUC, momentum_bank': ('pauc', BANK),
    'PAUC, momentum_bank, warm start': ('pauc', {**BANK, **WARM}),
    'PCL, online mixture': ('pclv2_online_gmm', {}),
    'PAUC, online mixture': ('pauc_online_gmm', {}),
}
# Backbone, channels, pixels, batch, images, K
SETUPS = {
    'tiny': (None, 128, 16, 128, 4000, [50, 100, 250]),
    'resnet18': (18, 512, 64, 32, 512, [32, 64, 128]),
    'resnet50': (50, 2048, 224, 16, 64, [8, 16, 32]),
}


class _Clock(Hook):
    """Timer of epochs, each from before its E-step to the next."""

    def __init__(self) -> None:
        self.seconds = []

    def before_train_epoch(self, runner) -> None:
        self.start = time.perf_counter()


class _Stop(Hook):
    def __init__(self, clock: _Clock) -> None:
        self.clock = clock

    def after_train_epoch(self, runner) -> None:
        self.clock.seconds.append(time.perf_counter() - self.clock.start)


def config(method: str, changes: dict, args, work_dir: str) -> Config:
    """Return the small recipe with the backbone and size of a setup."""
    depth, channels, side, batch, images, clusters = SETUPS[args.setup]
    if args.small:
        batch, images, clusters = 32, 128, [4, 8]
    (path,) = CONFIGS.glob(f'*/{method}_tiny_mnist.py')
    cfg = Config.fromfile(path)
    if depth:
        cfg.model.backbone = dict(type='ResNet', depth=depth)
        cfg.model.neck.in_channels = channels
    cfg.train_dataloader.batch_size = batch
    cfg.train_dataloader.dataset.update(size=side, indices=images)
    # One more: the first epoch is not counted, and nothing follows the last.
    interval = changes.get('interval', 1)
    epochs = math.ceil(args.epochs / interval) * interval + 2
    cfg.train_cfg.update(max_epochs=epochs, val_interval=1000)
    for key in ('val_cfg', 'val_dataloader', 'val_evaluator'):
        cfg.pop(key)
    for hook in ('checkpoint', 'checkpoint_guard'):
        cfg.default_hooks.pop(hook)
    # Its last check is outside of what is timed, and the network of an epoch
    # or two need not be a good one.
    cfg.default_hooks.pop('collapse_monitor', None)
    cfg.default_hooks.logger.interval = 1000
    if method != 'mocov2':
        cfg.model.num_clusters = clusters
        cfg.model.proto_head.num_negatives = max(clusters) // 2
    if method.endswith('online_gmm'):
        # So that it begins in the first epoch, which is not counted.
        begin = dict(warmup_steps=0, init_samples=max(clusters))
        cfg.model.prototypes.update(begin)
    elif method != 'mocov2':
        cfg.default_hooks.clustering.update(warmup_epochs=0, interval=1)
        cfg.merge_from_dict(dict(default_hooks=dict(clustering=changes)))
    cfg.log_level = 'ERROR'
    cfg.work_dir = work_dir
    cfg.experiment_name = f'epoch_{uuid.uuid4().hex}'
    return cfg


def run(method: str, changes: dict, args) -> float:
    """Return the mean seconds of the epochs but the first and the last."""
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner.from_cfg(config(method, changes, args, folder))
        clock = _Clock()
        runner.register_hook(clock, priority='HIGHEST')
        runner.register_hook(_Stop(clock), priority='LOWEST')
        with contextlib.redirect_stdout(io.StringIO()):
            runner.train()
    return statistics.mean(clock.seconds[1:-1])


def main(argv=None) -> None:
    """Measure and print."""
    parser = get_parser(__doc__, repeats=3)
    parser.set_defaults(warmup=0)
    add = parser.add_argument
    add('--setup', choices=list(SETUPS), default='tiny', help='the network')
    text = 'counted in each run, rounded up to whole intervals of E-steps'
    add('--epochs', type=positive, default=2, help=text)
    add(
        '--only',
        nargs='+',
        choices=list(ALTERNATIVES)[1:],
        help='measure these against MoCo v2, not all',
    )
    args = parse(parser, argv)
    os.environ['OMP_NUM_THREADS'] = str(args.threads)  # for the workers
    cfg = config('pauc', {}, args, 'unused')
    report = Report(
        f'An epoch, {args.setup}: {cfg.train_dataloader.dataset.indices} '
        f'images of {cfg.train_dataloader.dataset.size} pixels, batch '
        f'{cfg.train_dataloader.batch_size}, K = '
        f'{list(cfg.model.num_clusters)}',
        args,
    )
    names = [BASELINE, *(args.only or list(ALTERNATIVES)[1:])]
    timings = {name: Timing() for name in names}
    for turn in range(args.repeats):
        for name in rotated(names, turn):
            method, changes = ALTERNATIVES[name]
            timings[name].samples.append(run(method, changes, args))
        say(f'round {turn + 1}/{args.repeats}')
    report.timings('E-step included', timings, baseline=BASELINE)
    report.save()


if __name__ == '__main__':
    main()
