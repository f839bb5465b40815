# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS

from pauc_mm.models.losses.partition import (
    assignment_consistency,
    block_assignments,
    divergence_from_uniform,
    random_partition,
)
from pauc_mm.utils import derive_seed
from pauc_mm.utils.checks import check_integer, check_positive
from pauc_mm.utils.training_step import training_step


@MODELS.register_module()
class CARPHead(BaseModule):
    """Loss of assignments of views over random partitions of prototypes.

    In each step the prototypes are split at random into blocks, alike on all
    ranks, and each embedding is assigned within every block by a softmax of
    its products with the prototypes (CARP, NeurIPS 2023).

    Args:
        num_prototypes (int): K.
        partition_size (int): Prototypes of a block, a divisor of K.
        consistency_weight (float): Of the consistency.
        uniform_weight (float): Of the divergence from uniform.
        koleo_loss (dict, optional): Config of a :class:`KoLeoLoss` of the
            prototypes, for joint CARP; None leaves the term out.
    """

    def __init__(
        self,
        num_prototypes: int = 65536,
        partition_size: int = 512,
        consistency_weight: float = 1.0,
        uniform_weight: float = 1.0,
        koleo_loss: dict | None = None,
    ) -> None:
        super().__init__()
        check_integer('model.head.num_prototypes', num_prototypes, 2)
        check_integer('model.head.partition_size', partition_size, 2)
        if num_prototypes % partition_size:
            raise ValueError(
                f'model.head.partition_size={partition_size} does not divide '
                f'model.head.num_prototypes={num_prototypes}: the rest would '
                'be in no block. '
                f'{_nearest_divisor(num_prototypes, partition_size)} does.'
            )
        self.num_prototypes = num_prototypes
        self.partition_size = partition_size
        self.consistency_weight = check_positive(
            'model.head.consistency_weight', consistency_weight
        )
        self.uniform_weight = check_positive(
            'model.head.uniform_weight', uniform_weight, zero=True
        )
        self.koleo_loss = None
        if koleo_loss is not None:
            self.koleo_loss = MODELS.build(koleo_loss)
        self._run_seed = 0

    def loss(
        self,
        students: Sequence[torch.Tensor],
        teachers: Sequence[torch.Tensor],
        prototypes: torch.Tensor,
        teacher_prototypes: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Compute the two terms of CARP; a collective call.

        Args:
            students (Sequence[Tensor]): The student's embeddings of each
                view, (N, D); the views that the teacher sees come first.
            teachers (Sequence[Tensor]): The teacher's, without gradient.
            prototypes (Tensor): l2-normalised, shape (K, D).
            teacher_prototypes (Tensor): Prototypes for the teacher's
                embeddings, without gradient, shape (K, D).

        Returns:
            dict[str, Tensor]: ``loss_consistency``, ``loss_uniform`` and,
            if configured, ``loss_koleo``, weighted, and ``acc_block``, the
            share of blocks in which the student's first view and the
            teacher's second one have the same prototype, in [0, 1].
        """
        order = self._draw_order(prototypes.device)  # (K,)
        shuffled = targets = prototypes.index_select(0, order)  # (K, D)
        if teacher_prototypes is not prototypes:
            targets = teacher_prototypes.index_select(0, order)
        # Of each view log-probabilities (N, blocks, partition_size).
        assigned = [self._assign(view, shuffled) for view in students]
        wanted = [self._assign(view, targets) for view in teachers]
        consistency = assignment_consistency(assigned, wanted)
        uniform = divergence_from_uniform([*assigned, *wanted])
        hits = assigned[0].detach().argmax(dim=2) == wanted[-1].argmax(dim=2)
        losses = dict(
            loss_consistency=self.consistency_weight * consistency,
            loss_uniform=self.uniform_weight * uniform,
            acc_block=hits.float().mean(),
        )
        if self.koleo_loss is not None:
            losses['loss_koleo'] = self.koleo_loss(prototypes)
        return losses

    def seed_run(self, seed: int) -> None:
        """Make the partitions a function of the seed of the run, too."""
        self._run_seed = seed

    @torch.compiler.disable
    def _draw_order(self, device):
        seed = derive_seed(self._run_seed, training_step()[0])
        order = random_partition(self.num_prototypes, seed)
        if device.type == 'cuda':  # or the copy would wait
            order = order.pin_memory()
        return order.to(device, non_blocking=True)

    def _assign(self, embeddings, prototypes):
        logits = embeddings.float() @ prototypes.T
        return block_assignments(logits, self.partition_size)


def _nearest_divisor(number: int, size: int) -> int:
    divisors = [d for d in range(2, number + 1) if number % d == 0]
    return min(divisors, key=lambda d: abs(d - size))
