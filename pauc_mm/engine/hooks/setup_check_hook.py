# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from mmengine.hooks import Hook
from mmengine.model import BaseAveragedModel
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpretrain.models import BaseSelfSupervisor, ImageClassifier, MoCo
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model
from torch import nn

from pauc_mm.engine.checks.schedule_checks import check_learning_rates
from pauc_mm.models.checks import check_batches, global_batch_size
from pauc_mm.models.neck_inputs import join
from pauc_mm.utils.checks import (
    check_integer,
    check_positive,
    check_same_classes,
    class_names,
)


@HOOKS.register_module()
class SetupCheckHook(Hook):
    """Ask an algorithm what it needs, and what an epoch was like.

    Before the training it checks batches and schedules and calls
    ``model.check_setup(runner)``, after each epoch ``model.end_epoch()``,
    where the model has them. For mmpretrain's algorithms it checks what they
    leave unchecked. With ``optim_wrapper.accumulative_counts`` it lets
    momentum encoders move once for each step of the optimizer.
    """

    def before_train(self, runner: Runner) -> None:
        """Refuse a setup that would fail later, or train nothing."""
        model = get_ori_model(runner.model)
        check_batches(runner.train_dataloader, model)
        schedulers = runner.param_schedulers
        epochs = isinstance(runner.train_loop, EpochBasedTrainLoop)
        check_learning_rates(
            schedulers if isinstance(schedulers, list) else [],
            runner.max_epochs if epochs else None,
            runner.max_iters,
        )
        interval = getattr(runner.train_loop, 'val_interval', 1)
        check_integer('train_cfg.val_interval', interval, 1)
        counts = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
        if counts > runner.max_iters:
            runner.logger.warning(
                f'optim_wrapper.accumulative_counts={counts} is more than '
                f'the {runner.max_iters} batches of the run: the optimizer '
                'makes one step, at the end.'
            )
        for part in model.modules():
            if counts > 1 and isinstance(part, BaseAveragedModel):
                part.interval = counts  # of calls, one in each forward pass
        preprocessor = getattr(model, 'data_preprocessor', None)
        if hasattr(preprocessor, 'check_setup'):  # DeviceAugmentation
            preprocessor.check_setup(runner)
        check = getattr(model, 'check_setup', None)
        if callable(check):
            check(runner)
        else:
            _join_encoders(model)
            _check_mmpretrain(model, runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Let the model log what the epoch was like."""
        end_epoch = getattr(get_ori_model(runner.model), 'end_epoch', None)
        if callable(end_epoch):
            end_epoch()


def _join_encoders(model: nn.Module) -> None:
    """Let the necks of mmpretrain's algorithms take vectors, as ours do."""
    neck = getattr(model, 'neck', None)
    if isinstance(model, BaseSelfSupervisor) and neck is not None:
        join(model.backbone, neck)
        for part in model.modules():  # the averages of MoCo and BYOL
            pair = getattr(part, 'module', None)
            if isinstance(pair, nn.Sequential) and len(pair) == 2:
                join(*pair)


def _check_mmpretrain(model: nn.Module, runner: Runner) -> None:
    """Check a temperature, which shows late as NaN, and MoCo's queue."""
    temperature = getattr(getattr(model, 'head', None), 'temperature', None)
    if temperature is not None:
        check_positive(
            'model.head.temperature', temperature, fix='MoCo v2 uses 0.2.'
        )
    if isinstance(model, ImageClassifier):
        _check_classes(model, runner)
    if not isinstance(model, MoCo):
        return
    loader, batch = runner.train_dataloader, global_batch_size(runner)
    if model.queue_len % batch:  # stops MoCo without a word
        fitting = max(1, round(model.queue_len / batch)) * batch
        raise ValueError(
            f'model.queue_len={model.queue_len} is not a multiple of the '
            f'batch of {batch} images over all processes, as '
            f"mmpretrain's MoCo needs: set model.queue_len={fitting}, or "
            'change train_dataloader.batch_size.'
        )
    drops = getattr(loader.batch_sampler, 'drop_last', True)
    if not drops and len(loader.dataset) % batch:
        raise ValueError(
            'train_dataloader.drop_last must be True: the last batch '
            f'would not have {batch} images, and the queue of '
            "mmpretrain's MoCo takes whole batches only."
        )


def _check_classes(model: ImageClassifier, runner: Runner) -> None:
    """Compare the classes of both data sets and of the head."""
    names = class_names(runner.train_dataloader.dataset)
    if runner.val_loop is not None:
        validation = class_names(runner.val_loop.dataloader.dataset)
        check_same_classes(
            'train_dataloader', names, 'val_dataloader', validation
        )
    number = getattr(model.head, 'num_classes', None)
    if names and number is not None and number < len(names):
        raise ValueError(
            f'model.head.num_classes={number}, but the images of '
            f'train_dataloader have {len(names)} classes: set it to that.'
        )
