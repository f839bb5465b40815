# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.models import MoCo
from mmpretrain.registry import HOOKS
from mmpretrain.utils import get_ori_model

from pauc_mm.engine.checks.clustering_checks import check_online_setup
from pauc_mm.engine.checks.global_batch import global_batch_size
from pauc_mm.engine.checks.mixture_checks import check_mixture_begins
from pauc_mm.models.carp import CARP
from pauc_mm.models.cld import CLD
from pauc_mm.models.momentum_contrast import MomentumContrast
from pauc_mm.models.pcl import has_online_prototypes
from pauc_mm.utils.checks import check_positive


@HOOKS.register_module()
class SetupCheckHook(Hook):
    """Check what no other hook does.

    mmpretrain's MoCo stops in the first step, without a word, when the batch
    does not divide the queue; a temperature of zero shows as NaN much later.
    For PCL and PAUC with prototypes that need no E-step, and so no
    ClusteringHook, it checks and says what that hook would; for decoupled
    CARP when its mixture begins; for CLD whether a batch can be clustered.
    """

    def before_train(self, runner: Runner) -> None:
        """Look at temperature, queue, batch and online prototypes.

        Raises:
            ValueError: Naming the key, the value and the fix.
        """
        model = get_ori_model(runner.model)
        temperature = getattr(
            getattr(model, 'head', None), 'temperature', None
        )
        if temperature is not None:
            check_positive(
                'model.head.temperature',
                temperature,
                fix='MoCo v2 uses 0.2.',
            )
        if has_online_prototypes(model):
            check_online_setup(model, runner)
        loader = runner.train_dataloader
        batch = global_batch_size(runner)
        if isinstance(model, CLD):
            model.check_batch(batch)
        if isinstance(model, CARP) and model.decouple:
            mixture = model.prototypes.mixture
            if not mixture.ready:  # not resumed
                check_mixture_begins(runner, mixture.init_samples, 2 * batch)
        if not isinstance(model, MoCo) or isinstance(model, MomentumContrast):
            return  # the queue of MomentumContrast takes any batch
        if model.queue_len % batch:
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

    def after_train_epoch(self, runner: Runner) -> None:
        """Let a model without an E-step say how its prototypes do."""
        model = get_ori_model(runner.model)
        if has_online_prototypes(model):
            model.end_epoch()
