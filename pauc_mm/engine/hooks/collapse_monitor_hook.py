# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import operator
import re
from collections.abc import Mapping
from typing import NamedTuple

from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from pauc_mm.datasets.dataset_views import base_dataset
from pauc_mm.evaluation.collapse import (
    MEASURES,
    PROTOTYPE_MEASURES,
    evenly,
    has_prototypes,
    measure_collapse,
    prototype_sets,
)
from pauc_mm.utils import on_main_process
from pauc_mm.utils.checks import check_choice, check_integer

from .embedding_hook import EmbeddingHook

_STRIKES = 'collapse_monitor_strikes'
_CONDITION = re.compile(
    r'\s*([<>])\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*'
)
_COMPARE = {'<': operator.lt, '>': operator.gt}


class Condition(NamedTuple):
    """Threshold on a measure, or on that of any set of prototypes."""

    measure: str
    sign: str
    threshold: float

    def met_by(self, values: Mapping[str, float]) -> str | None:
        """Describe the first value beyond the threshold, or return None."""
        for name, value in values.items():
            beyond = _COMPARE[self.sign](value, self.threshold)
            if beyond and re.fullmatch(rf'{self.measure}(_\d+)?', name):
                return f'{name} = {value:.4g} {self.sign} {self.threshold:g}'
        return None


def parse_conditions(key: str, stop: Mapping[str, str]) -> list[Condition]:
    """Read conditions such as ``dict(effective_rank='< 2')``.

    Raises:
        ValueError: If a measure is unknown or a condition cannot be read.
    """
    if not isinstance(stop, Mapping):
        raise ValueError(
            f"{key} must be a dict such as dict(effective_rank='< 2'), got "
            f'{stop!r}.'
        )
    conditions = []
    for measure, text in stop.items():
        check_choice(f'A measure of {key}', measure, MEASURES)
        match = _CONDITION.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError(
                f"{key}.{measure} must be '<' or '>' and a number, such as "
                f"'< 2', got {text!r}."
            )
        conditions.append(Condition(measure, match[1], float(match[2])))
    return conditions


@HOOKS.register_module()
class CollapseMonitorHook(EmbeddingHook):
    """Measure collapse during training, and stop the run if asked to.

    Every ``interval`` epochs, and after the last one, it embeds evenly spaced
    training images, centred and not augmented, and measures uniformity,
    effective ranks, RankMe, NESum and, where the model has prototypes, the
    share that is unique, KoLeo, the entropy of the cluster sizes and the
    variance within clusters, see
    :func:`pauc_mm.evaluation.collapse.measure_collapse`. The values go to
    the visualizer's backends (scalars.json, TensorBoard ...) with the prefix
    ``collapse/`` and the epoch as step, to the message hub, and to the log.
    The weights of the run are bit for bit those of a run without the hook. It
    serves any self-supervised algorithm of mmpretrain with a neck.

    Args:
        interval (int): Epochs between two checks.
        max_samples (int): Most images to embed.
        stop (dict, optional): Conditions, such as
            ``dict(effective_rank='< 2', uniformity='> -0.1')``. One of them
            ends the training, and the epoch becomes its last one.
        patience (int): Consecutive checks in which a condition has to be met.
        start_epoch (int): Epochs before conditions are looked at, for an
            untrained network looks collapsed.
        **kwargs: ``pipeline``, ``momentum``, ``batch_size``, ``num_workers``,
            ``amp_dtype`` and ``channels_last``, see :class:`EmbeddingHook`.
    """

    key = 'default_hooks.collapse_monitor'

    def __init__(
        self,
        interval: int = 5,
        max_samples: int = 2000,
        stop: Mapping[str, str] | None = None,
        patience: int = 2,
        start_epoch: int = 10,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        for name, value, least in (
            ('interval', interval, 1),
            ('max_samples', max_samples, 2),
            ('patience', patience, 1),
            ('start_epoch', start_epoch, 0),
        ):
            check_integer(f'{self.key}.{name}', value, least)
            setattr(self, name, value)
        self.conditions = parse_conditions(f'{self.key}.stop', stop or {})

    def before_train(self, runner: Runner) -> None:
        """Check the whole setup, and embed two images.

        Raises:
            TypeError: See :meth:`EmbeddingHook.before_train`.
            ValueError: If there is no pipeline or it does not work, there are
                fewer than two images, or a condition could never be met.
        """
        super().before_train(runner)
        self._check_conditions(runner)
        number = len(base_dataset(runner.train_dataloader.dataset))
        if number < 2:
            raise ValueError(
                f'{self.key} compares images, but train_dataloader.dataset '
                f'has {number}.'
            )
        self.rows = evenly(number, self.max_samples)
        try:  # fails on all ranks, if on one
            self.embed(runner, self.rows[[0, -1]])
        except Exception as error:
            if str(error).startswith('model.'):  # of another key
                raise
            raise ValueError(
                f'{self.source} must give one view of each image, all of one '
                f'size, for {self.key}; it failed: {type(error).__name__}: '
                f'{error}'
            ) from error

    def _check_conditions(self, runner: Runner) -> None:
        if not self.conditions:
            return
        measures = {c.measure for c in self.conditions}
        on_prototypes = sorted(measures & set(PROTOTYPE_MEASURES))
        if on_prototypes and not has_prototypes(runner.model):
            raise ValueError(
                f'{self.key}.stop has a condition on '
                f'{", ".join(on_prototypes)}, but a '
                f'{type(get_ori_model(runner.model)).__name__} has no '
                'prototypes. Remove it.'
            )
        checks = range(self.interval, runner.max_epochs, self.interval)
        number = sum(epoch >= self.start_epoch for epoch in checks)
        if number < self.patience:
            raise ValueError(
                f'{self.key}.stop could never end a run of train_cfg.'
                f'max_epochs={runner.max_epochs}: {self.key}.interval='
                f'{self.interval} and {self.key}.start_epoch='
                f'{self.start_epoch} leave {number} check(s) before its end, '
                f'{self.key}.patience={self.patience} needs as many. Lower '
                'them, or remove stop.'
            )

    def after_train_epoch(self, runner: Runner) -> None:
        """Measure, log, and stop the training if a condition is met.

        Raises:
            RuntimeError: If embeddings are not finite or zero, or another
                rank failed.
        """
        last = self.is_last_train_epoch(runner)
        if not (self.every_n_epochs(runner, self.interval) or last):
            return
        features, embeddings = self.embed(runner, self.rows)

        def measure() -> dict[str, float]:
            sets = prototype_sets(runner.model)
            try:
                return measure_collapse(features, embeddings, sets, self.rows)
            except ValueError as error:
                raise RuntimeError(
                    f'The collapse check after epoch {runner.epoch + 1} '
                    f'failed: {error}'
                ) from error

        values = on_main_process(measure, 'Measuring the collapse')
        self._log(runner, values)
        self._stop(runner, values)

    def _log(self, runner: Runner, values: dict[str, float]) -> None:
        epoch = runner.epoch + 1
        named = {f'collapse/{name}': value for name, value in values.items()}
        runner.visualizer.add_scalars(named, step=epoch)
        runner.message_hub.update_scalars(named)
        text = ', '.join(f'{name} {v:.4g}' for name, v in values.items())
        runner.logger.info(
            f'Collapse check after epoch {epoch} ({len(self.rows)} images): '
            f'{text}'
        )

    def _stop(self, runner: Runner, values: dict[str, float]) -> None:
        """Count the checks that meet a condition; in the checkpoint too."""
        epoch, hub = runner.epoch + 1, runner.message_hub
        if not self.conditions or epoch < self.start_epoch:
            return
        met = [text for c in self.conditions if (text := c.met_by(values))]
        strikes = hub.get_info(_STRIKES, 0) + 1 if met else 0
        stopping = strikes >= self.patience
        # A run that is resumed after the stop gets all its patience back.
        hub.update_info(_STRIKES, 0 if stopping else strikes)
        if not met:
            return
        text = f'{" and ".join(met)} (check {strikes} of {self.patience})'
        if not stopping:
            runner.logger.warning(f'Signs of collapse: {text}.')
            return
        # As the last epoch it is saved, whatever the interval of checkpoints.
        runner.train_loop._max_epochs = epoch
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook):
                hook.save_last = True
        runner.logger.warning(
            f'Training stops after epoch {epoch}, since the embeddings or '
            f'prototypes have collapsed: {text}. Start again with a lower '
            'optim_wrapper.optimizer.lr, a longer warm-up or weaker weights '
            'of the loss terms that pull together, or resume with another '
            f'{self.key}.stop if the threshold is wrong.'
        )
