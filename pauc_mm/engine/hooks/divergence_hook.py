# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from math import isfinite

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from pauc_mm.engine.whole_checkpoints import not_finite_in
from pauc_mm.utils import raise_together

_ADVICE = (
    'Lower optim_wrapper.optimizer.lr or clip gradients '
    '(optim_wrapper.clip_grad); with fp16 AMP try '
    "optim_wrapper.dtype='bfloat16'."
)


@HOOKS.register_module()
class DivergenceHook(Hook):
    """Stop a training at its first loss that is NaN or infinite.

    Several processes compare notes every ``interval`` iterations and at the
    end of an epoch, so that all of them stop in the same step. A checkpoint
    with such weights is never written. Nothing waits for the device: mmengine
    reads the losses of each step for its log.

    Args:
        interval (int): Iterations between two looks at the other processes.
    """

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval
        self._error: FloatingPointError | None = None

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Look at the losses.

        Raises:
            FloatingPointError: If one is not finite.
            RuntimeError: If one of another process is not.
        """
        log = runner.message_hub.log_scalars  # as mmengine has logged them
        names = [name for name in outputs or () if 'loss' in name]
        losses = {
            k: log[f'train/{k}'].current()
            if f'train/{k}' in log  # not without RuntimeInfoHook
            else outputs[k].item()
            for k in names
        }
        if self._error is None and not all(map(isfinite, losses.values())):
            values = ', '.join(f'{k}={v}' for k, v in losses.items())
            self._error = FloatingPointError(
                f'The loss is not finite in epoch {runner.epoch + 1}, '
                f'iteration {runner.iter + 1}: {values}. {_ADVICE}'
            )
        if (
            get_world_size() == 1
            or self.every_n_train_iters(runner, self.interval)
            or self.end_of_epoch(runner.train_dataloader, batch_idx)
            or self.is_last_train_iter(runner)
        ):
            raise_together(self._error, 'Training')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep weights that are not finite out of the work_dir.

        Raises:
            FloatingPointError: If there are any.
        """
        if bad := not_finite_in(checkpoint):
            raise FloatingPointError(
                'No checkpoint is written after iteration '
                f'{checkpoint["meta"]["iter"]}: the weights are not finite: '
                f'{bad}. {_ADVICE}'
            )
