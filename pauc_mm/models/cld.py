# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dist import get_world_size
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor

from pauc_mm.clustering.batch_kmeans import batch_kmeans
from pauc_mm.clustering.deferred_flag import DeferredFlag
from pauc_mm.utils import derive_seed, gather_with_grad
from pauc_mm.utils.checks import check_integer, check_positive

from .checks import check_queue, smallest_batch
from .momentum_contrast import MomentumContrast


@MODELS.register_module()
class CLD(MomentumContrast):
    """CLD: MoCo with a contrast of samples against groups of another view.

    Implementation of `Unsupervised Feature Learning by Cross-Level
    Instance-Group Discrimination <https://arxiv.org/abs/2008.03813>`_ on
    MoCo v2. Of three views two are queries, against the same keys and queue.
    A second branch of the projection gives group embeddings. Each query view
    is clustered; embeddings of the other view are classified into those
    clusters.

    The whole batch of all ranks is clustered, alike on each of them. The
    official code clusters what each GPU has, which in its published setting
    are fewer samples than clusters: each sample is then a cluster of its own,
    and the rest are zero vectors among the negatives. Here a batch must be
    larger than ``num_clusters``, and empty clusters are left out.

    Args:
        num_clusters (int): K, clusters of a batch.
        num_iters (int): Iterations of k-means.
        group_temperature (float): T of the contrast with the centroids.
        group_weight (float): lambda, weight of that contrast.
        centroid_grad (bool): Whether the gradient also flows through the
            centroids to their members, as in the official code. False takes
            them as constants.
        **kwargs: Arguments of :class:`MomentumContrast`; the neck is a
            :class:`CLDNeck` or another that gives two embeddings.
    """

    def __init__(
        self,
        *args: Any,
        num_clusters: int = 120,
        num_iters: int = 5,
        group_temperature: float = 0.4,
        group_weight: float = 0.25,
        centroid_grad: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        check_integer('model.num_clusters', num_clusters, 2)
        self.num_clusters = num_clusters
        self.num_iters = check_integer('model.num_iters', num_iters, 1)
        self.group_temperature = check_positive(
            'model.group_temperature',
            group_temperature,
            fix='The paper uses 0.4 on ImageNet.',
        )
        self.group_weight = check_positive(
            'model.group_weight',
            group_weight,
            zero=True,
            fix='The paper uses 0.25 on ImageNet.',
        )
        self.centroid_grad = centroid_grad
        self._run_seed = 0
        self._flag = DeferredFlag()

    def loss(
        self,
        inputs: list[Tensor],
        data_samples: list[DataSample] | None = None,
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Compute InfoNCE of both queries, and cross-level discrimination.

        Args:
            inputs (list[Tensor]): A query, the key, and the other query
                view, each (N, 3, H, W).
            data_samples (list[DataSample], optional): Not used.
            **kwargs: Not used; mmpretrain passes none.

        Returns:
            dict[str, Tensor]: ``loss_infonce`` and ``acc_instance``, means
            of both queries, and those of :meth:`group_losses`.

        Raises:
            ValueError: If there are not three views, the batch of all ranks
                is not larger than ``num_clusters`` or does not fit the
                queue, or an embedding of any rank is not finite; the last
                comes one step late on a GPU.
        """
        if not isinstance(inputs, (list, tuple)) or len(inputs) != 3:
            raise ValueError(
                'CLD trains on three views of each image, two queries and a '
                'key: use MultiView(num_views=3) in the training pipeline.'
            )
        self.check_batch(len(inputs[0]) * get_world_size())
        self._refuse_not_finite()
        branches1 = self._embed(inputs[0])  # (N, D) twice: instance, group
        branches2 = self._embed(inputs[2])
        key = self.encode_keys(inputs[1])  # (N, D), no gradient
        # Under AMP the encoder has run in half precision; normalisation,
        # exponentials and clusters need float32.
        with torch.autocast(key.device.type, enabled=False):
            query1, group1 = [F.normalize(b.float(), dim=1) for b in branches1]
            query2, group2 = [F.normalize(b.float(), dim=1) for b in branches2]
            one = self.instance_losses(query1, key)
            other = self.instance_losses(query2, key)
            losses = {name: (one[name] + other[name]) / 2 for name in one}
            # Both views of the batch of all ranks, (N * world, 2, D).
            groups = gather_with_grad(torch.stack([group1, group2], dim=1))
            # Two statements, or torch.compile recompiles every step.
            terms = self.group_losses(groups[:, 0], groups[:, 1])
            losses = {**losses, **terms}
            keys = self.enqueue(key)  # (N * world, D)
        self._note_not_finite(groups, keys)
        return losses

    def group_losses(
        self, group1: Tensor, group2: Tensor
    ) -> dict[str, Tensor]:
        r"""Compute the cross-level discrimination.

        .. math::
            \frac{\lambda}{2 N} \sum_{(u, v)} \sum_i -\log
            \frac{\exp(g_i^u \cdot c_{s^v(i)}^v / T)}
            {\sum_k \exp(g_i^u \cdot c_k^v / T)}

        over both orders (u, v) of the views; the clusters k are those of
        view v that have members, and s^v(i) is that of sample i.

        Args:
            group1 (Tensor): l2-normalised group embeddings of one view and
                the whole batch, shape (N, D), float32.
            group2 (Tensor): Those of the other view, shape (N, D).

        Returns:
            dict[str, Tensor]: ``loss_group``, weighted, and ``acc_group``,
            the share of samples whose nearest centroid of the other view, by
            inner product, is that of their cluster there.
        """
        losses, hits = [], []
        clusterings = self._cluster(group1, group2)
        for queries, (clusters, centroids, counts) in zip(
            (group1, group2), reversed(clusterings)
        ):  # (N, D), (N,), (K, D), (K,)
            logits = queries @ centroids.t() / self.group_temperature  # (N, K)
            logits = logits.masked_fill(counts == 0, float('-inf'))
            losses.append(F.cross_entropy(logits, clusters))
            hits.append((logits.argmax(dim=1) == clusters).float().mean())
        return dict(
            loss_group=self.group_weight * (losses[0] + losses[1]) / 2,
            acc_group=(hits[0] + hits[1]) / 2,
        )

    def seed_run(self, seed: int) -> None:
        """Make the clusters a function of the seed of the run, too."""
        self._run_seed = seed

    def check_setup(self, runner: Runner) -> None:
        """Refuse a training that cannot work, before its first step."""
        smallest = smallest_batch(runner.train_dataloader)
        self.check_batch(smallest * get_world_size())
        super().check_setup(runner)

    def check_batch(self, batch: int) -> None:
        """Refuse a batch that cannot be clustered or queued."""
        if batch <= self.num_clusters:
            raise ValueError(
                f'model.num_clusters={self.num_clusters} needs a larger batch '
                f'than {batch} images over all processes: with one cluster '
                'for each sample there are no groups. Lower '
                'model.num_clusters, raise train_dataloader.batch_size, or '
                'set train_dataloader.drop_last=True.'
            )
        check_queue(self.queue_len, batch)

    def _embed(self, images: Tensor) -> tuple:
        """Embed a view, for instances and for groups, both (N, D)."""
        embeddings = self.neck(self.backbone(images))
        if len(embeddings) != 2:
            raise ValueError(
                f'model.neck gives {len(embeddings)} embedding(s), but CLD '
                "needs two, of instance and group: use type='CLDNeck'."
            )
        return embeddings

    @torch.compiler.disable  # another generator would recompile
    def _cluster(self, *views: Tensor) -> list[tuple]:
        """Cluster each view, alike on all ranks and after a resume."""
        generator = torch.Generator(device=views[0].device)
        step = self.encoder_k.count
        generator.manual_seed(derive_seed(self._run_seed, step))
        return [
            batch_kmeans(
                view if self.centroid_grad else view.detach(),
                self.num_clusters,
                self.num_iters,
                generator,
            )
            for view in views
        ]

    @torch.compiler.disable
    @torch.no_grad()
    def _note_not_finite(self, *gathered: Tensor) -> None:
        wrong = torch.stack([~torch.isfinite(x).all() for x in gathered])
        self._flag.set(wrong.any())
        if wrong.device.type == 'cpu':
            self._refuse_not_finite()

    @torch.compiler.disable
    def _refuse_not_finite(self) -> None:
        if self._flag.raised():
            raise ValueError(
                'Embeddings of this or another rank are NaN or infinite. '
                'Lower optim_wrapper.optimizer.lr, set '
                'optim_wrapper.clip_grad, or, with AMP in float16, use '
                "optim_wrapper.dtype='bfloat16'."
            )
