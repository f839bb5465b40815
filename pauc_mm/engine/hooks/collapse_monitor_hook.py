# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from pauc_mm.datasets.dataset_views import base_dataset, with_pipeline
from pauc_mm.embedding.dataset import embed_dataset, undisturbed
from pauc_mm.evaluation.collapse import (
    PROTOTYPE_MEASURES,
    evenly,
    has_prototypes,
    measure_collapse,
    prototype_sets,
)
from pauc_mm.models.embed import encoder_of
from pauc_mm.utils import raise_together

from .collapse_stop import conditions_met, parse_conditions
from .evaluation_pipeline import find_pipeline

_KEY = 'default_hooks.collapse_monitor'
_STRIKES = 'collapse_monitor_strikes'


@HOOKS.register_module()
class CollapseMonitorHook(Hook):
    """Show a collapse while it happens, and stop the run if asked to.

    Every ``interval`` epochs, and after the last one, it embeds evenly chosen
    training images, centred and not augmented, and logs uniformity, effective
    ranks and, where the model has prototypes, the share that is unique, the
    entropy of the cluster sizes and the variance within clusters, see
    :func:`pauc_mm.evaluation.collapse.measure_collapse`. They go, with
    the prefix ``collapse/`` and the number of epochs as step, to the backends
    of the visualizer (scalars.json, TensorBoard ...), to the message hub, and
    as one line to the log. The run itself is not changed: its weights are bit
    for bit those of a run without the hook.

    It serves any self-supervised algorithm of mmpretrain with a neck.
    Everything that can be checked is checked before the first epoch.

    Args:
        pipeline (list[dict], optional): Transforms for one centred view of an
            image. Defaults to None: those of the ClusteringHook, or else the
            config's ``test_pipeline``, or else those of its
            ``val_dataloader.dataset``.
        interval (int): Epochs between two checks. Defaults to 5.
        max_samples (int): Most images to embed. Defaults to 2000.
        momentum (bool): Whether the momentum encoder is used instead of the
            one that is trained. Defaults to False.
        batch_size (int): Images a batch and process. Defaults to 256.
        num_workers (int, optional): Worker processes for the images. Defaults
            to None: as many as ``train_dataloader`` has.
        amp_dtype (str, optional): 'float16' or 'bfloat16' to embed under
            autocast. Defaults to None.
        channels_last (bool): Whether the images are embedded in that memory
            format. Defaults to False.
        stop (dict, optional): Conditions, of which one is enough to end the
            training after the checkpoint of the epoch has been saved, such as
            ``dict(effective_rank='< 2', uniformity='> -0.1')``. Defaults to
            None: never.
        patience (int): Consecutive checks in which a condition has to be met.
            Defaults to 2.
        start_epoch (int): Epochs to be trained before conditions are looked
            at: an untrained network looks collapsed. Defaults to 10.

    Raises:
        ValueError: If an argument is out of its range.
    """

    # After SyncBuffersHook and the E-step, before the checkpoint is saved.
    priority = 'BELOW_NORMAL'

    def __init__(
        self,
        pipeline: Sequence[dict] | None = None,
        interval: int = 5,
        max_samples: int = 2000,
        momentum: bool = False,
        batch_size: int = 256,
        num_workers: int | None = None,
        amp_dtype: str | None = None,
        channels_last: bool = False,
        stop: Mapping[str, str] | None = None,
        patience: int = 2,
        start_epoch: int = 10,
    ) -> None:
        for name, value, least in (
            ('interval', interval, 1),
            ('max_samples', max_samples, 2),
            ('batch_size', batch_size, 1),
            ('num_workers', 0 if num_workers is None else num_workers, 0),
            ('patience', patience, 1),
            ('start_epoch', start_epoch, 0),
        ):
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or value < least:
                raise ValueError(
                    f'{_KEY}.{name} must be an integer >= {least}, not '
                    f'{value!r}.'
                )
        for name, value, known in (
            ('momentum', momentum, (False, True)),
            ('amp_dtype', amp_dtype, (None, 'float16', 'bfloat16')),
            ('channels_last', channels_last, (False, True)),
        ):
            if value not in known:
                raise ValueError(
                    f'{_KEY}.{name} must be one of '
                    f'{", ".join(map(repr, known))}, not {value!r}.'
                )
        self.pipeline = pipeline
        self.interval = interval
        self.max_samples = max_samples
        self.momentum = momentum
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.amp_dtype = amp_dtype
        self.channels_last = channels_last
        self.conditions = parse_conditions(f'{_KEY}.stop', stop or {})
        self.patience = patience
        self.start_epoch = start_epoch

    def before_train(self, runner: Runner) -> None:
        """Check the whole setup, and embed two images.

        Raises:
            TypeError: If the model has no neck or no momentum encoder, or the
                loop no epochs.
            ValueError: If there is no pipeline or it does not work, there are
                fewer than two images, or a condition could never be met.
        """
        encoder_of(runner.model, self.momentum)
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise TypeError(
                'CollapseMonitorHook measures after epochs, but '
                f'train_cfg.type is {type(runner.train_loop).__name__}: use '
                'EpochBasedTrainLoop.'
            )
        self._check_conditions(runner)
        number = len(base_dataset(runner.train_dataloader.dataset))
        if number < 2:
            raise ValueError(
                'CollapseMonitorHook compares images, but '
                f'train_dataloader.dataset has {number}.'
            )
        source, pipeline = find_pipeline(runner, self.pipeline, _KEY)
        self.dataset = with_pipeline(
            runner.train_dataloader.dataset, Compose(list(pipeline))
        )
        self.places = evenly(number, self.max_samples)
        self._try_pipeline(runner, source)

    def _check_conditions(self, runner: Runner) -> None:
        if not self.conditions:
            return
        needing = [
            c.measure
            for c in self.conditions
            if c.measure in PROTOTYPE_MEASURES
        ]
        if needing and not has_prototypes(runner.model):
            raise ValueError(
                f'{_KEY}.stop has a condition on {", ".join(needing)}, but a '
                f'{get_ori_model(runner.model)._get_name()} has no '
                'prototypes: remove it.'
            )
        checks = [
            epoch
            for epoch in range(self.interval, runner.max_epochs, self.interval)
            if epoch >= self.start_epoch
        ]
        if len(checks) < self.patience:
            raise ValueError(
                f'{_KEY}.stop could never end a run of train_cfg.max_epochs='
                f'{runner.max_epochs}: {_KEY}.interval={self.interval} and '
                f'{_KEY}.start_epoch={self.start_epoch} leave {len(checks)} '
                f'check(s) before its end, {_KEY}.patience={self.patience} '
                'needs as many. Lower them, or remove stop.'
            )

    def _try_pipeline(self, runner: Runner, source: str) -> None:
        try:  # fails on all ranks, if on one
            self._embed(runner, self.places[[0, -1]])
        except Exception as error:
            raise ValueError(
                f'{source} must give one view of each image, all of one size, '
                'for the CollapseMonitorHook; it failed: '
                f'{type(error).__name__}: {error}'
            ) from error

    def after_train_epoch(self, runner: Runner) -> None:
        """Measure, log, and stop if it is time.

        Raises:
            RuntimeError: If embeddings are not finite or zero, or another
                rank failed.
        """
        last = self.is_last_train_epoch(runner)
        if not (self.every_n_epochs(runner, self.interval) or last):
            return
        features, embeddings = self._embed(runner, self.places)
        values: list = [None]
        error = None
        if is_main_process():
            try:
                values = [
                    measure_collapse(
                        features,
                        embeddings,
                        prototype_sets(runner.model),
                        self.places,
                    )
                ]
            except Exception as caught:
                error = RuntimeError(
                    f'The collapse check after epoch {runner.epoch + 1} '
                    f'failed: {caught}'
                )
                error.__cause__ = caught
        raise_together(error, 'Measuring the collapse')
        broadcast_object_list(values)
        self._log(runner, values[0])
        self._stop(runner, values[0])

    def _embed(
        self, runner: Runner, places: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        workers = self.num_workers
        if workers is None:
            workers = runner.train_dataloader.num_workers
        with undisturbed(runner.model):
            return embed_dataset(
                runner.model,
                self.dataset,
                places,
                self.batch_size,
                workers,
                self.momentum,
                self.amp_dtype,
                self.channels_last,
            )

    def _log(self, runner: Runner, values: dict[str, float]) -> None:
        epoch = runner.epoch + 1
        named = {f'collapse/{name}': value for name, value in values.items()}
        runner.visualizer.add_scalars(named, step=epoch)
        for name, value in named.items():
            runner.message_hub.update_scalar(name, value)
        text = ', '.join(f'{name} {v:.4g}' for name, v in values.items())
        runner.logger.info(
            f'Collapse check after epoch {epoch} ({len(self.places)} images): '
            f'{text}'
        )

    def _stop(self, runner: Runner, values: dict[str, float]) -> None:
        """Count the checks that meet a condition; in the checkpoint too."""
        epoch, hub = runner.epoch + 1, runner.message_hub
        if not self.conditions or epoch < self.start_epoch:
            return
        met = conditions_met(self.conditions, values)
        strikes = hub.get_info(_STRIKES, 0) + 1 if met else 0
        stopping = strikes >= self.patience
        # A run that is resumed after the stop gets all its patience back.
        hub.update_info(_STRIKES, 0 if stopping else strikes)
        if not met:
            return
        words = f'{" and ".join(met)} (check {strikes} of {self.patience})'
        if not stopping:
            runner.logger.warning(f'Signs of collapse: {words}.')
            return
        runner.train_loop.stop_training = True
        saved = _save_this_epoch(runner)
        runner.logger.warning(
            f'Training stops after epoch {epoch}, since the embeddings or '
            f'prototypes have collapsed: {words}. '
            + (
                'The checkpoint of this epoch is saved. '
                if saved
                else 'No CheckpointHook saves this epoch. '
            )
            + 'Look at collapse/* in the logs for when it began; start again '
            'with a lower optim_wrapper.optimizer.lr, a longer warm-up or '
            'weaker weights of the loss terms that pull together, or resume '
            f'with another {_KEY}.stop if the threshold is wrong.'
        )


def _save_this_epoch(runner: Runner) -> bool:
    """Make the checkpoint hook, which comes later, save whatever is due."""
    saved = False
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook) and hook.by_epoch:
            hook.interval, hook.save_begin = 1, 0
            saved = True
    return saved
