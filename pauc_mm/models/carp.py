# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.dist import all_reduce
from mmpretrain.models import BaseSelfSupervisor
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

from pauc_mm.clustering.deferred_flag import DeferredFlag

from .cosine_momentum_encoder import CosineMomentumEncoder
from .prototypes.learned_prototypes import LearnedPrototypes
from .prototypes.mixture_prototypes import MixturePrototypes


@MODELS.register_module()
class CARP(BaseSelfSupervisor):
    """CARP, joint or decoupled: a student, a teacher, and prototypes.

    *Representation learning via consistent assignment of views over random
    partitions* (NeurIPS 2023, `arXiv 2310.12692
    <https://arxiv.org/abs/2310.12692>`_). The teacher, an average of the
    student, sees the two global views, the student all of them.

    With ``decouple=True`` the prototypes are the means of an online Gaussian
    mixture of the teacher's embeddings, as in *Why Prototypes Collapse* (ICLR
    2026, `arXiv 2510.20108 <https://arxiv.org/abs/2510.20108>`_). In each
    step the encoder learns with the prototypes as they are, then the mixture
    learns from the same embeddings; neither sees the other's gradient.

    Args:
        backbone (dict): Config of the backbone.
        neck (dict): Config of the projection, a :class:`CARPNeck`.
        head (dict): Config of the :class:`CARPHead`, with K.
        momentum (float): First step of the teacher, which falls to zero by
            half a cosine: 0.01 is the 0.99 rising to 1 of the paper. Defaults
            to 0.01.
        decouple (bool): Whether the prototypes are a mixture's means.
            Defaults to False.
        mixture (dict, optional): Options of the
            :class:`~pauc_mm.clustering.OnlineGaussianMixture`; only with
            ``decouple``.
        feat_dim (int): D, what the neck gives. Defaults to 256.
        pretrained (str, optional): Checkpoint to start from.
        data_preprocessor (dict, optional): Defaults to mmpretrain's
            SelfSupDataPreprocessor.
        init_cfg (dict or list[dict], optional): Initialization config.

    Attributes:
        prototypes (LearnedPrototypes or MixturePrototypes): The student's.
        encoder_k (CosineMomentumEncoder): Backbone and neck of the teacher.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        head: dict,
        momentum: float = 0.01,
        decouple: bool = False,
        mixture: dict | None = None,
        feat_dim: int = 256,
        pretrained: str | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: list[dict] | dict | None = None,
    ) -> None:
        if not 0 < momentum < 1:
            raise ValueError(
                'model.momentum must be in (0, 1), 0.01 for the 0.99 of the '
                f'paper, but is {momentum!r}.'
            )
        if mixture and not decouple:
            raise ValueError(
                f'model.mixture={mixture!r} has no effect with model.decouple='
                'False: set model.decouple=True, or leave it out.'
            )
        super().__init__(
            backbone=backbone,
            neck=neck,
            head=head,
            pretrained=pretrained,
            data_preprocessor=data_preprocessor,
            init_cfg=init_cfg,
        )
        self.decouple = decouple
        self.encoder_k = CosineMomentumEncoder(
            nn.Sequential(self.backbone, self.neck), momentum
        )
        size = self.head.num_prototypes, feat_dim
        if decouple:
            self.prototypes = _mixture(size, dict(mixture or {}))
        else:
            self.prototypes = LearnedPrototypes(*size)
            self.prototypes_k = CosineMomentumEncoder(
                self.prototypes, momentum
            )
        self._flag = DeferredFlag()

    def loss(
        self,
        inputs: Sequence[torch.Tensor],
        data_samples: Sequence[DataSample],
        **kwargs,
    ) -> dict[str, torch.Tensor]:
        """Consistency and divergence from uniform.

        Args:
            inputs (Sequence[Tensor]): Views of each image, (N, 3, H, W): two
                global ones, then any number of local ones.
            data_samples (Sequence[DataSample]): N samples, not looked at.
            **kwargs: Not used; mmpretrain passes none.

        Returns:
            dict[str, Tensor]: See :meth:`CARPHead.loss`.

        Raises:
            ValueError: If there are fewer than two views or images, or what
                the networks gave is not finite, in this step on a CPU and in
                the one before on a GPU.
        """
        _check_views(inputs)
        teachers = self._teach(inputs[:2])
        students = self._embed(inputs)
        device = students[0].device.type
        with torch.autocast(device, enabled=False):
            vectors = self.prototypes.vectors()
            if self.decouple:
                targets = vectors
            else:
                with torch.no_grad():
                    targets = self.prototypes_k.module.vectors()
            losses = self.head.loss(students, teachers, vectors, targets)
            self._refuse_not_finite(losses)
            if self.decouple:
                self.prototypes.update(torch.cat(teachers))
        return losses

    @torch.no_grad()
    def _teach(self, views):
        """The teacher one step on, and its embeddings of the global views."""
        self.encoder_k.update_parameters(
            nn.Sequential(self.backbone, self.neck)
        )
        if not self.decouple:
            self.prototypes_k.update_parameters(self.prototypes)
        return self.encoder_k(torch.cat(list(views)))[0].float().chunk(2)

    def _embed(self, views):
        """The student's embeddings; views of one size go through as one."""
        pooled = []
        for part in _of_one_size(views):
            maps = self.backbone(torch.cat(part))[-1]
            pooled.append(maps.mean(dim=(2, 3), keepdim=True))
        # One pass, so that BatchNorm sees all views of all sizes.
        embeddings = self.neck((torch.cat(pooled),))[0].float()
        return embeddings.chunk(len(views))

    @torch.compiler.disable
    def _refuse_not_finite(self, losses):
        total = losses['loss_consistency'] + losses['loss_uniform']
        wrong = (~torch.isfinite(total.detach())).float()
        all_reduce(wrong)  # so that all ranks stop
        if wrong.device.type == 'cpu':
            self._flag.set(wrong)
        raised = self._flag.raised()  # of the step before, on a GPU
        if wrong.device.type != 'cpu':
            self._flag.set(wrong)
        if raised:
            raise ValueError(
                f'The loss of {type(self).__name__} is not finite: its '
                'embeddings are NaN, infinite or too long. Lower '
                'optim_wrapper.optimizer.lr, or, in float16, look at the loss '
                'scale; load_from the last good checkpoint.'
            )


def _check_views(views) -> None:
    several = isinstance(views, (list, tuple)) and len(views) > 1
    if not several or views[0].shape != views[1].shape:
        raise ValueError(
            'CARP trains on two global views of each image, of one size, and '
            'then any number of local ones: use MultiView(num_views=[2, 6]) '
            'in the training pipeline.'
        )
    if len(views[0]) < 2:
        raise ValueError(
            'CARP got a batch of one image: BatchNorm and the mean assignment '
            'need several. Raise train_dataloader.batch_size, or set '
            'train_dataloader.drop_last=True.'
        )


def _of_one_size(views) -> list[list[torch.Tensor]]:
    """Views in their order, neighbours of one size together."""
    groups: list[list[torch.Tensor]] = []
    for view in views:
        if not groups or groups[-1][0].shape != view.shape:
            groups.append([])
        groups[-1].append(view)
    return groups


def _mixture(size, options) -> MixturePrototypes:
    try:
        return MixturePrototypes(*size, **options)
    except (TypeError, ValueError) as error:
        raise ValueError(f'model.mixture={options!r}: {error}') from error
