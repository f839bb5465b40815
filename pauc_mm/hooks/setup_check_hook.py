# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.models import MoCo
from mmpretrain.registry import HOOKS

from ..models.embedding import unwrap
from ..models.pcl import PCL
from ..utils.checks import check_positive


@HOOKS.register_module()
class SetupCheckHook(Hook):
    """Check what mmpretrain's contrastive algorithms leave unchecked.

    Its MoCo stops in the first step, without a word, when the batch does not
    divide the queue; a temperature of zero shows as NaN much later.
    """

    def before_train(self, runner: Runner) -> None:
        """Look at temperature, queue and batch.

        Raises:
            ValueError: Naming the key, the value and the fix.
        """
        model = unwrap(runner.model)
        temperature = getattr(
            getattr(model, 'head', None), 'temperature', None
        )
        if temperature is not None:
            check_positive(
                'model.head.temperature',
                temperature,
                fix='MoCo v2 uses 0.2.',
            )
        if not isinstance(model, MoCo) or isinstance(model, PCL):
            return  # PCL's queue takes any batch
        loader = runner.train_dataloader
        batch = (loader.batch_size or 1) * get_world_size()
        if model.queue_len % batch:
            fitting = max(1, round(model.queue_len / batch)) * batch
            raise ValueError(
                f'model.queue_len={model.queue_len} is not a multiple of the '
                f'batch of {batch} images over all processes, as '
                f"mmpretrain's MoCo needs: set model.queue_len={fitting}, or "
                'change train_dataloader.batch_size.'
            )
        if not loader.drop_last and len(loader.dataset) % batch:
            raise ValueError(
                'train_dataloader.drop_last must be True: the last batch '
                f'would not have {batch} images, and the queue of '
                "mmpretrain's MoCo takes whole batches only."
            )
