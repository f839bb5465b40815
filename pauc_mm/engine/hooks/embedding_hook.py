# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

from mmengine.dataset import Compose
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import Tensor

from pauc_mm.datasets.dataset_views import with_pipeline
from pauc_mm.embedding.dataset import embed_dataset, undisturbed
from pauc_mm.models.embed import encoder_of
from pauc_mm.utils.checks import check_choice, check_integer

from .clustering_hook import ClusteringHook


class EmbeddingHook(Hook):
    """Base of hooks that embed training images and leave the run as it is.

    Args:
        pipeline (list[dict], optional): Transforms for one centred view of an
            image; None takes those of the ClusteringHook, ``test_pipeline`` or
            ``val_dataloader.dataset``.
        momentum (bool): Whether to use the momentum encoder instead of the one
            that is trained.
        batch_size (int): Images a batch and process.
        num_workers (int, optional): Worker processes for the images; None
            takes as many as ``train_dataloader`` has.
        amp_dtype (str, optional): 'float16' or 'bfloat16' for autocast.
        channels_last (bool): Whether to embed in that memory format.

    Attributes:
        key (str): Config key of the hook, for messages.
    """

    # After SyncBuffersHook and the E-step, before the checkpoint is saved.
    priority = 'BELOW_NORMAL'
    key = ''

    def __init__(
        self,
        pipeline: Sequence[dict] | None = None,
        momentum: bool = False,
        batch_size: int = 256,
        num_workers: int | None = None,
        amp_dtype: str | None = None,
        channels_last: bool = False,
    ) -> None:
        for name, value, choices in (
            ('momentum', momentum, (False, True)),
            ('amp_dtype', amp_dtype, (None, 'float16', 'bfloat16')),
            ('channels_last', channels_last, (False, True)),
        ):
            check_choice(f'{self.key}.{name}', value, choices)
            setattr(self, name, value)
        self.pipeline, self.num_workers = pipeline, num_workers
        self.batch_size = check_integer(
            f'{self.key}.batch_size', batch_size, 1
        )
        if num_workers is not None:
            check_integer(f'{self.key}.num_workers', num_workers, 0)

    def before_train(self, runner: Runner) -> None:
        """Check the setup and prepare the images.

        Raises:
            TypeError: If the model has no neck or no momentum encoder, or the
                loop no epochs.
            ValueError: If there is no pipeline.
        """
        encoder_of(runner.model, self.momentum)
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise TypeError(
                f'{self.key} works after epochs: train_cfg.type must be '
                'EpochBasedTrainLoop, got '
                f'{type(runner.train_loop).__name__}.'
            )
        self.source, pipeline = self._find_pipeline(runner)
        self.dataset = with_pipeline(
            runner.train_dataloader.dataset, Compose(list(pipeline))
        )

    def _find_pipeline(self, runner: Runner) -> tuple[str, Sequence[dict]]:
        """Return the config key of the transforms, and them."""
        if self.pipeline is not None:
            return f'{self.key}.pipeline', self.pipeline
        for hook in runner.hooks:
            if isinstance(hook, ClusteringHook):
                return 'default_hooks.clustering.pipeline', hook.pipeline
        if runner.cfg.get('test_pipeline'):
            return 'test_pipeline', runner.cfg.test_pipeline
        loader = runner.cfg.get('val_dataloader') or {}
        pipeline = (loader.get('dataset') or {}).get('pipeline')
        if pipeline:
            return 'val_dataloader.dataset.pipeline', pipeline
        raise ValueError(
            f'{self.key}.pipeline is not set, and the config has no '
            'test_pipeline. Give the transforms for one centred view of an '
            "image, such as [dict(type='LoadImageFromFile'), "
            "dict(type='ResizeEdge', scale=256, edge='short'), "
            "dict(type='CenterCrop', crop_size=224), dict(type='PackInputs')]."
        )

    def embed(
        self,
        runner: Runner,
        rows: Sequence[int] | None = None,
        features: bool = True,
    ) -> tuple[Tensor | None, Tensor]:
        """Embed some training images, or all; a collective call.

        Returns:
            tuple[Tensor or None, Tensor]: Features (n, C) and embeddings
            (n, D), see :func:`~pauc_mm.embedding.dataset.embed_dataset`.
        """
        workers = self.num_workers
        if workers is None:
            workers = runner.train_dataloader.num_workers
        with undisturbed(runner.model):
            return embed_dataset(
                runner.model,
                self.dataset,
                rows,
                self.batch_size,
                workers,
                self.momentum,
                self.amp_dtype,
                self.channels_last,
                features,
            )
