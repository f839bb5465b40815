# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from pauc_mm.datasets.dataset_views import base_dataset
from pauc_mm.utils import derive_seed
from pauc_mm.utils.checks import check_integer

from .checks import check_clusters, global_batch_size
from .momentum_contrast import MomentumContrast
from .prototypes import PrototypeSet, build_prototypes, refuse_old_options


@MODELS.register_module()
class PCL(MomentumContrast):
    """PCL: MoCo with a contrast against prototypes.

    Implementation of `Prototypical Contrastive Learning of Unsupervised
    Representations <https://arxiv.org/abs/2005.04966>`_. Versions 1 and 2 of
    the paper are configs of this class: they differ in the neck, the
    temperature, the augmentation and the schedule. Until there are
    prototypes the loss is InfoNCE alone.

    Args:
        proto_head (dict): Config of the :class:`ProtoNCEHead`.
        num_clusters (Sequence[int]): K of each of the M sets of prototypes.
        queue_len (int): Length of the queue of keys.
        feat_dim (int): D, dimension of the embedding.
        prototypes (dict): Config of the prototypes: with
            :class:`KMeansPrototypes`, the default and the paper's,
            :class:`pauc_mm.engine.hooks.ClusteringHook` makes the E-step;
            :class:`MixturePrototypes` follow the keys of each step.
        **kwargs: Arguments of :class:`MomentumContrast`; the concentrations
            are scaled to the ``temperature`` of ``head``.

    Raises:
        TypeError: If ``prototypes`` is no config.
        ValueError: If an option is out of its range.
    """

    def __init__(
        self,
        *,
        proto_head: dict,
        num_clusters: Sequence[int],
        queue_len: int = 16384,
        feat_dim: int = 128,
        prototypes: Mapping = dict(type='KMeansPrototypes'),  # noqa: B006
        **kwargs: Any,
    ) -> None:
        refuse_old_options(kwargs)
        self.num_clusters = _checked_clusters(num_clusters)
        super().__init__(queue_len=queue_len, feat_dim=feat_dim, **kwargs)
        self.proto_head = MODELS.build(proto_head)
        self.prototypes = build_prototypes(
            prototypes,
            num_prototypes=self.num_clusters,
            dim=feat_dim,
            temperature=self.temperature,
        )
        self.prototype_weight = 1.0  # less while ClusteringHook ramps it up
        self._generator: torch.Generator | None = None

    def loss(
        self,
        inputs: list[Tensor],
        data_samples: list[DataSample],
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Compute InfoNCE, and once there are prototypes their losses.

        Args:
            inputs (list[Tensor]): The query and the key view, each
                (N, 3, H, W).
            data_samples (list[DataSample]): N samples, with ``sample_idx``
                for prototypes from k-means.
            **kwargs: Not used; mmpretrain passes none.

        Returns:
            dict[str, Tensor]: ``loss_infonce``, ``acc_instance`` and those
            of :meth:`prototype_losses`.

        Raises:
            ValueError: If the batch does not hold two views.
        """
        if not isinstance(inputs, (list, tuple)) or len(inputs) != 2:
            raise ValueError(
                f'{type(self).__name__} trains on two views of each image: '
                'use MultiView(num_views=2) in the training pipeline.'
            )
        query = self.neck(self.backbone(inputs[0]))[0]  # (N, D)
        key = self.encode_keys(inputs[1])  # (N, D), no gradient
        # Under AMP the encoder has run in half precision; normalisation and
        # exponentials need float32.
        with torch.autocast(query.device.type, enabled=False):
            query = F.normalize(query.float(), dim=1)
            losses = self.instance_losses(query, key)  # eq. 1
            if self.prototypes.learns == 'before':
                self.prototypes.learn(key)
            assigned = self.prototypes.assign(key, data_samples)  # (M, N)
            if assigned is not None:  # eq. 11; of PAUC also eq. 4 to 6
                terms = self.prototype_losses(query, key, assigned)
                # Two statements, or torch.compile recompiles every step.
                terms = self._ramped(terms)
                losses = {**losses, **terms}
            if self.prototypes.learns == 'after':
                self.prototypes.learn(key)
            self.enqueue(key)
        return losses

    def prototype_losses(
        self, query: Tensor, key: Tensor, assigned: Tensor
    ) -> dict[str, Tensor]:
        """Compute ProtoNCE.

        Args:
            query (Tensor): l2-normalised v, shape (N, D).
            key (Tensor): l2-normalised v', shape (N, D), no gradient.
            assigned (Tensor): Prototypes of the samples, (M, N), int64.

        Returns:
            dict[str, Tensor]: See :meth:`ProtoNCEHead.loss`.
        """
        return self.proto_head.loss(
            query, self.prototypes, assigned, self._draws()
        )

    def seed_negatives(self, seed: int) -> None:
        """Seed the drawing of negatives.

        A ClusteringHook calls it in each epoch. Prototypes without an E-step
        have negatives that are seeded in each step.
        """
        device = self.queue.device
        if self._generator is None or self._generator.device != device:
            self._generator = torch.Generator(device)
        self._generator.manual_seed(seed)

    @torch.compiler.disable
    def _draws(self) -> torch.Generator | None:
        """Return the generator of this step's negatives."""
        if not self.prototypes.needs_e_step:
            step = self.encoder_k.count - 1
            self.seed_negatives(derive_seed(self.prototypes.run_seed, step))
        return self._generator

    @torch.compiler.disable  # the weight may change with each epoch
    def _ramped(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """Multiply the losses, but not the accuracies, by their weight."""
        weight = self.prototype_weight
        if weight == 1:
            return losses
        return {
            name: value * weight if name.startswith('loss') else value
            for name, value in losses.items()
        }

    def start_momentum_encoder(self) -> None:
        """Give it the weights of the query encoder, before the first step.

        An E-step without warm-up would otherwise see other random weights.
        """
        if not self.encoder_k.started:
            self.encoder_k.start(nn.Sequential(self.backbone, self.neck))

    def prototype_sets(self) -> list[PrototypeSet]:
        """Return the prototypes, to be measured; [] until they are used."""
        return self.prototypes.sets() if self.prototypes.ready else []

    def check_setup(self, runner: Runner) -> None:
        """Refuse a training that cannot work, before its first step."""
        super().check_setup(runner)
        num_samples = len(base_dataset(runner.train_dataloader.dataset))
        batch_size = global_batch_size(runner)
        check_clusters(self.num_clusters, num_samples)
        self.prototypes.check_setup(runner, batch_size)
        wanted = self.proto_head.num_negatives
        few = [k for k in self.num_clusters if wanted > k - batch_size]
        if few:
            print_log(
                f'model.proto_head.num_negatives={wanted}, but a batch of '
                f'{batch_size} can leave fewer prototypes of K={few}: then '
                'all that are left serve as negatives.',
                logger='current',
                level=logging.WARNING,
            )

    def end_epoch(self) -> None:
        """Log what the prototypes were like in an epoch."""
        for line in self.prototypes.summary():
            print_log(line, logger='current')


def _checked_clusters(num_clusters: Sequence[int]) -> tuple[int, ...]:
    key = 'model.num_clusters'
    if isinstance(num_clusters, int):
        num_clusters = (num_clusters,)
    if not isinstance(num_clusters, (list, tuple)) or not num_clusters:
        raise ValueError(
            f'{key} must list the K of each set of prototypes, such as '
            f'[100, 200, 400], got {num_clusters!r}.'
        )
    fix = f'{key} lists the K of each set, such as [100, 200, 400].'
    return tuple(check_integer(key, k, 2, fix) for k in num_clusters)
