# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import re
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.dataset import BaseDataset, Compose
from mmengine.logging import MessageHub
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpretrain.datasets.transforms import MultiView
from mmpretrain.models import SelfSupDataPreprocessor
from mmpretrain.registry import MODELS
from torch import Tensor

from pauc_mm.datasets.view_transforms import (
    ViewResizedCrop,
    ViewTransform,
    apply_to_batch,
)
from pauc_mm.utils.seed import derive_seed, hashed_uniform

_KEY = 'data_preprocessor.type=DeviceAugmentation'


@MODELS.register_module()
class DeviceAugmentation(SelfSupDataPreprocessor):
    """Augment the views of a training batch where the model is.

    Before the training it takes over from the training pipeline the
    transforms with which the views of ``MultiView`` end, if their names begin
    with ``View``: the workers then load and crop. What a view undergoes
    depends on the run's seed, the epoch, the ``sample_idx`` and the number of
    the view, not on batches, workers or processes. It needs
    ``SetupCheckHook`` and ``EpochSeedHook``, as the recipes have them.

    Outside of the training it only normalises.

    Args:
        **kwargs: Of ``SelfSupDataPreprocessor``. Images are BGR with
            ``to_rgb=True``, else RGB.
    """

    def __init__(self, **kwargs: Any) -> None:
        if kwargs.get('rgb_to_bgr'):
            raise ValueError(
                f'{_KEY} augments in RGB: data_preprocessor.rgb_to_bgr=True '
                'cannot be. Use SelfSupDataPreprocessor.'
            )
        super().__init__(**kwargs)
        self.views: list[list[ViewTransform]] = []
        self.run_seed: int | None = None

    def seed_run(self, seed: int) -> None:
        """Take the seed of the run, alike on all ranks."""
        self.run_seed = seed

    def check_setup(self, runner: Runner) -> None:
        """Take the transforms over from the training pipeline.

        Raises:
            ValueError: If there are none, or if an epoch may show an image
                twice, which would then undergo the same.
        """
        dataset = runner.train_dataloader.dataset
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if not (by_epoch and isinstance(dataset, BaseDataset)):
            raise ValueError(
                f'{_KEY} draws once an epoch for an image: it needs train_cfg.'
                'by_epoch=True and a train_dataloader.dataset that is not '
                f'repeated, got {type(runner.train_loop).__name__} and '
                f'{type(dataset).__name__}. Use SelfSupDataPreprocessor.'
            )
        self.take_over(dataset.pipeline)
        if not any(self.views):
            raise ValueError(
                f'{_KEY} finds nothing to do: no view of a MultiView in '
                'train_dataloader.dataset.pipeline ends with transforms such '
                'as ViewColorJitter. Use these, or SelfSupDataPreprocessor.'
            )

    def take_over(self, pipeline: Compose) -> None:
        """Take the ends of the views out of a pipeline."""
        for step in pipeline.transforms:
            if isinstance(step, MultiView) and not self.views:
                ends = {id(p): take_end(p.transforms) for p in step.pipelines}
                self.views = [ends[id(p)] for p in step.transforms]

    @torch.no_grad()
    def forward(self, data: dict, training: bool = False) -> dict:
        """Augment, if training, and normalise.

        Args:
            data (dict): Collated ``inputs``, in training a list of views
                (N, 3, H, W), uint8, and ``data_samples``, N of them.
            training (bool): Whether to augment.

        Returns:
            dict: ``inputs``, float32, and ``data_samples``.

        Raises:
            ValueError: If the views are not those that were taken over, or
                the samples have no ``sample_idx``.
            RuntimeError: If a hook that it needs is missing.
        """
        if not training:
            return super().forward(data, training)
        if not self.views or self.run_seed is None:
            raise RuntimeError(
                f'{_KEY} was not set up: keep default_hooks.setup_check and '
                'default_hooks.epoch_seed.'
            )
        views, samples = data['inputs'], data['data_samples']
        self._check(views, samples)
        epoch = MessageHub.get_current_instance().get_info('epoch')
        index = np.array([sample.sample_idx for sample in samples])
        inputs = []
        for number, (view, transforms) in enumerate(zip(views, self.views)):
            images = self.cast_data(view)
            if self._channel_conversion:
                images = images.flip(1)
            images = images / 255
            seed = derive_seed(self.run_seed, epoch, number)
            draw = partial(hashed_uniform, seed, index)
            with torch.autocast(images.device.type, enabled=False):
                images = apply_to_batch(transforms, images, draw) * 255
            if self._enable_normalize:
                images = (images - self.mean) / self.std
            inputs.append(images)
        return dict(inputs=inputs, data_samples=self.cast_data(samples))

    def _check(self, views: Any, samples: Any) -> None:
        found = [
            f'{view.dtype} {tuple(view.shape)}'
            if isinstance(view, Tensor)
            else type(view).__name__
            for view in views
        ]
        if len(found) != len(self.views) or not all(
            re.fullmatch(r'torch.uint8 \(\d+, 3, \d+, \d+\)', v) for v in found
        ):
            raise ValueError(
                f'{_KEY} takes {len(self.views)} views, each torch.uint8 (N, '
                f'3, H, W), got {found[:9]}: use train_dataloader.collate_fn.'
                "type='default_collate', and a crop of one size in each view "
                'of MultiView.'
            )
        if any(sample.get('sample_idx') is None for sample in samples):
            raise ValueError(
                f'{_KEY} draws for each sample_idx, which not all samples '
                "have: leave 'sample_idx' in PackInputs.meta_keys."
            )


def take_end(transforms: list) -> list[ViewTransform]:
    """Remove the ViewTransforms at the end of a pipeline; return them."""
    start = len(transforms)
    while start and isinstance(transforms[start - 1], ViewTransform):
        start -= 1
    end = transforms[start:]
    del transforms[start:]
    if transforms and isinstance(transforms[-1], ViewResizedCrop):
        transforms[-1].is_last = True
    return end
