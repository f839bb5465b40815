# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from mmengine.runner import Runner
from mmpretrain.models import BaseSelfSupervisor
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from pauc_mm.clustering.deferred_flag import DeferredFlag

from .checks import global_batch_size
from .momentum_encoder import CosineMomentumEncoder
from .neck_inputs import join
from .prototypes import PrototypeSet, build_prototypes, refuse_old_options


@MODELS.register_module()
class CARP(BaseSelfSupervisor):
    """CARP, joint or decoupled: a student, a teacher, and prototypes.

    *Representation learning via consistent assignment of views over random
    partitions* (`NeurIPS 2023 <https://arxiv.org/abs/2310.12692>`_). The
    teacher, an average of the student, sees the two global views, the student
    all of them. With :class:`MixturePrototypes` it is the decoupled CARP of
    `Why Prototypes Collapse <https://arxiv.org/abs/2510.20108>`_: the mixture
    learns from the teacher's embeddings, the encoder from the loss, in the
    order of its ``update``; neither sees the other's gradient.

    Args:
        neck (dict): Config of the projection, a :class:`CARPNeck`.
        head (dict): Config of the :class:`CARPHead`, with K.
        momentum (float): First step of the teacher, which falls to zero by
            half a cosine: 0.01 is the 0.99 rising to 1 of the paper.
        prototypes (dict): Config of the prototypes. Defaults to
            :class:`LearnedPrototypes`: joint CARP.
        feat_dim (int): D, what the neck gives.
        **kwargs: Arguments of mmpretrain's BaseSelfSupervisor.

    Attributes:
        prototypes (BasePrototypes): The student's.
        prototypes_k (CosineMomentumEncoder, optional): The teacher's, where
            the student's are trained.
        encoder_k (CosineMomentumEncoder): Backbone and neck of the teacher.

    Raises:
        TypeError: If an argument is unknown.
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        *args: Any,
        neck: dict,
        head: dict,
        momentum: float = 0.01,
        prototypes: Mapping = dict(type='LearnedPrototypes'),  # noqa: B006
        feat_dim: int = 256,
        **kwargs: Any,
    ) -> None:
        refuse_old_options(kwargs)
        if not 0 < momentum < 1:
            raise ValueError(
                'model.momentum must be in (0, 1), 0.01 for the 0.99 of the '
                f'paper, got {momentum!r}.'
            )
        super().__init__(*args, neck=neck, head=head, **kwargs)
        join(self.backbone, self.neck)
        self.encoder_k = CosineMomentumEncoder(
            nn.Sequential(self.backbone, self.neck), momentum
        )
        self.prototypes = build_prototypes(
            prototypes,
            num_prototypes=[self.head.num_prototypes],
            dim=feat_dim,
            temperature=1.0,  # CARP has none
        )
        if self.prototypes.needs_e_step:
            raise ValueError(
                f'model.prototypes={prototypes!r} needs an E-step, but CARP '
                'needs prototypes from the first step. Use LearnedPrototypes '
                'or MixturePrototypes.'
            )
        if self.head.koleo_loss is not None and not self.prototypes.trained:
            raise ValueError(
                f'model.head.koleo_loss moves learned prototypes, but no '
                f'gradient reaches those of model.prototypes={prototypes!r}. '
                'Set it to None.'
            )
        self.prototypes_k = None
        if self.prototypes.trained:
            self.prototypes_k = CosineMomentumEncoder(
                self.prototypes, momentum
            )
        self._flag = DeferredFlag()

    def loss(
        self,
        inputs: Sequence[Tensor],
        data_samples: Sequence[DataSample],
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Compute consistency and divergence from uniform.

        Args:
            inputs (Sequence[Tensor]): V views of each image, (N, 3, H, W):
                two global ones, then any number of local ones.
            data_samples (Sequence[DataSample]): N samples, not looked at.
            **kwargs: Not used; mmpretrain passes none.

        Returns:
            dict[str, Tensor]: See :meth:`CARPHead.loss`.

        Raises:
            ValueError: If there are fewer than two views or images, or the
                loss is not finite, on a GPU that of the step before.
        """
        _check_views(inputs)
        self._update_teacher()
        with torch.no_grad():
            embeddings = self.encoder_k(torch.cat(list(inputs[:2])))[0].float()
        teachers = embeddings.chunk(2)  # 2 x (N, D)
        students = self._embed(inputs)  # V x (N, D)
        with torch.autocast(embeddings.device.type, enabled=False):
            unit = F.normalize(embeddings, dim=1)
            if self.prototypes.learns == 'before':
                self.prototypes.learn(unit)
            vectors = targets = self.prototypes.vectors()  # (K, D)
            if self.prototypes_k is not None:
                targets = self.prototypes_k.module.vectors().detach()
            losses = self.head.loss(students, teachers, vectors, targets)
            self._refuse_not_finite(losses)
            if self.prototypes.learns == 'after':
                self.prototypes.learn(unit)
        return losses

    @torch.no_grad()
    def _update_teacher(self) -> None:
        self.encoder_k.update_parameters(
            nn.Sequential(self.backbone, self.neck)
        )
        if self.prototypes_k is not None:
            self.prototypes_k.update_parameters(self.prototypes)

    def _embed(self, views: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Embed views by the student; neighbours of one size go as one."""
        pooled = []
        for _, part in groupby(views, key=lambda view: view.shape):
            maps = self.backbone(torch.cat(list(part)))[-1]
            if maps.dim() > 2:
                maps = maps.mean(dim=(2, 3))
            pooled.append(maps[:, :, None, None])
        # One pass, so that BatchNorm sees all views of all sizes.
        embeddings = self.neck((torch.cat(pooled),))[0].float()
        return embeddings.chunk(len(views))

    @torch.compiler.disable
    def _refuse_not_finite(self, losses: dict[str, Tensor]) -> None:
        terms = [v for name, v in losses.items() if name.startswith('loss')]
        total = torch.stack(terms).sum()
        wrong = (~torch.isfinite(total.detach())).float()
        all_reduce(wrong)  # so that all ranks stop
        raised = self._flag.raised()  # of the step before, on a GPU
        self._flag.set(wrong)
        if raised or (wrong.device.type == 'cpu' and self._flag.raised()):
            raise ValueError(
                f'The loss of {type(self).__name__} is not finite: its '
                'embeddings are NaN, infinite or too long. Lower '
                'optim_wrapper.optimizer.lr, or, in float16, look at the loss '
                'scale; load_from the last good checkpoint.'
            )

    def prototype_sets(self) -> list[PrototypeSet]:
        """Return the prototypes, to be measured: they serve from step 1."""
        return self.prototypes.sets()

    def check_setup(self, runner: Runner) -> None:
        """Refuse a training that cannot work, before its first step.

        Raises:
            ValueError: If the prototypes would not learn in time.
        """
        per_step = 2 * global_batch_size(runner)  # of both global views
        self.prototypes.check_setup(runner, per_step)

    def upgrade_state_dict(self, state_dict: dict[str, Tensor]) -> None:
        """Rename the mixture of a checkpoint from before sets had numbers."""
        old, new = 'prototypes.mixture.', 'prototypes.mixtures.0.'
        for name in [n for n in state_dict if n.startswith(old)]:
            state_dict[new + name[len(old) :]] = state_dict.pop(name)
            steps = state_dict['encoder_k.steps'].double()
            state_dict.setdefault('prototypes.steps', steps)


def _check_views(views: Sequence[Tensor]) -> None:
    several = isinstance(views, (list, tuple)) and len(views) > 1
    if not several or views[0].shape != views[1].shape:
        raise ValueError(
            'CARP trains on two global views of each image, of one size, and '
            'then any number of local ones: use MultiView(num_views=[2, 6]) '
            'in the training pipeline.'
        )
    if len(views[0]) < 2:
        raise ValueError(
            'CARP got a batch of one image, but BatchNorm needs several: '
            'raise train_dataloader.batch_size, or set its drop_last=True.'
        )
