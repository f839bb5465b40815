# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from mmpretrain.models import BaseSelfSupervisor
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model
from torch import nn

from pauc_mm.checkpoints.weights import MIN_MATCHED, Fit, compare, shapes
from pauc_mm.compat import from_plain, to_plain
from pauc_mm.datasets.dataset_views import fingerprint
from pauc_mm.engine.checks.resume_checks import (
    check_same_images,
    check_same_settings,
    check_same_steps,
)
from pauc_mm.engine.whole_checkpoints import check_whole, last_whole
from pauc_mm.utils import on_main_process


@HOOKS.register_module()
class CheckpointGuardHook(Hook):
    """Load only whole checkpoints that fit the model.

    A resumed run takes the newest checkpoint of the work_dir that is whole,
    and says so if a newer one is not. A checkpoint with other parameters is
    refused: mmengine would only warn, and train on with random weights. So are
    settings that resuming would take from the checkpoint; of others it says
    whether they take effect. The evaluation that was due at the checkpoint is
    made before the training goes on: the run may have been stopped within it.
    New checkpoints are loadable with ``torch.load(weights_only=True)``.
    """

    priority = 'VERY_LOW'  # the other hooks have added their state by then
    _images: str | None = None  # digest of the training set, made once

    def before_run(self, runner: Runner) -> None:
        """Choose the checkpoint to resume from, or check the named one.

        Raises:
            RuntimeError: If there are checkpoints, but none is whole, or
                the named one is not.
            FileNotFoundError: If the named checkpoint does not exist.
        """
        if named := runner._load_from:
            on_main_process(lambda: check_whole(named), f'Reading {named}')
        if named or not runner._resume:
            return
        runner._load_from = on_main_process(
            lambda: last_whole(Path(runner.work_dir), runner.logger),
            'Looking for the last checkpoint',
        )
        if runner._load_from is None:
            runner.logger.info(f'Nothing to resume in {runner.work_dir}.')
            runner._resume = False

    def before_train(self, runner: Runner) -> None:
        """Make the evaluation of the checkpoint that is resumed."""
        loop = runner.train_loop
        if not runner._resume or runner.val_loop is None:
            return
        done, length = runner.epoch, runner.max_epochs
        if isinstance(loop, IterBasedTrainLoop):
            done, length = runner.iter, runner.max_iters
        due = done % loop.val_interval == 0 or done == length
        if due and done >= max(loop.val_begin, 1):
            runner.logger.info(
                f'Resumed after {done} of {length}: the evaluation of the '
                'checkpoint is made first.'
            )
            runner.val_loop.run()
            runner.model.train()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note images and steps, convert all to plain types and tensors."""
        checkpoint['meta']['images'] = self._digest(runner)
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            checkpoint['meta']['epoch_steps'] = len(runner.train_dataloader)
        checkpoint.update(to_plain(checkpoint))

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Restore the log history, and compare parameters and settings.

        Raises:
            RuntimeError: If a run is resumed from half of a checkpoint or
                from another architecture, fewer than 90% of the backbone's
                tensors would be loaded for training, or not all for a test.
            ValueError: If a setting of a resumed run would have no effect.
        """
        if 'message_hub' in checkpoint:
            checkpoint['message_hub'] = from_plain(checkpoint['message_hub'])
        model = get_ori_model(runner.model)
        if callable(getattr(model, 'upgrade_state_dict', None)):
            model.upgrade_state_dict(checkpoint.get('state_dict', checkpoint))
        if not runner._resume:
            if isinstance(runner.optim_wrapper, OptimWrapper):
                _check_part(model, checkpoint, 'backbone.', MIN_MATCHED)
            else:  # a test, whose metrics would be of random weights
                learns = isinstance(model, BaseSelfSupervisor)
                part = 'backbone.' if learns else ''
                _check_part(model, checkpoint, part, 1.0)
            return
        entries = 'state_dict', 'meta', 'optimizer', 'message_hub'
        if lost := [name for name in entries if name not in checkpoint]:
            raise RuntimeError(
                f'The checkpoint has no {", ".join(lost)}: a run cannot be '
                'resumed from it. Use load_from (without --resume) to start '
                'a new run from its weights.'
            )
        meta = checkpoint['meta']
        if 'cfg' in meta:
            check_same_settings(meta['cfg'], runner.cfg)
        if str(fit := _fit(model, checkpoint['state_dict'])):
            raise RuntimeError(
                f'The checkpoint belongs to another model: {fit}. Resume with '
                'the config that wrote it, or use load_from (without '
                '--resume) to start a new run from its weights.'
            )
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            steps = len(runner.train_dataloader)
            check_same_steps(meta, steps, runner.param_schedulers)
        if meta.get('images', digest := self._digest(runner)) != digest:
            prototypes = getattr(model, 'prototypes', None)
            check_same_images(getattr(prototypes, 'needs_e_step', False))

    def _digest(self, runner: Runner) -> str:
        if self._images is None:
            try:
                images = runner.train_dataloader.dataset
                self._images = fingerprint(images, contents=True)
            except ValueError:  # a data set without numbered images
                self._images = ''
        return self._images


def _fit(
    model: nn.Module, state_dict: dict, prefix: str = '', counters: bool = True
) -> Fit:
    saved = {k.removeprefix('module.'): v for k, v in state_dict.items()}
    own = shapes(model, counters)
    own = {k: v for k, v in own.items() if k.startswith(prefix)}
    return compare(own, shapes(saved, counters))


def _check_part(
    model: nn.Module, checkpoint: dict, prefix: str, least: float
) -> None:
    state = checkpoint.get('state_dict', checkpoint)
    fit = _fit(model, state, prefix, counters=False)
    if len(fit.matched) < least * fit.total:
        raise RuntimeError(
            f'Only {len(fit.matched)} of the {fit.total} tensors of the '
            f'{prefix.rstrip(".") or "model"} are in the checkpoint, and '
            f'{least:.0%} must be: {fit}. Use the config that wrote it, or '
            'convert its keys to the prefix backbone.'
        )
