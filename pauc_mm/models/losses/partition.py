# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The equations of CARP as pure functions on tensors.

*Representation learning via consistent assignment of views over random
partitions*, NeurIPS 2023 (`arXiv 2310.12692
<https://arxiv.org/abs/2310.12692>`_). Assignments stay logarithms, so that
nothing has to be clamped.
"""

import math
from collections.abc import Sequence
from itertools import product

import torch

from pauc_mm.utils import gather_with_grad


def random_partition(num_prototypes: int, seed: int) -> torch.Tensor:
    """Draw a random order of the prototypes; blocks are slices of it.

    A permutation of 0 to K - 1, shape (K,), int64. Drawn on the CPU, so that
    a seed gives the same order on all ranks and devices.
    """
    generator = torch.Generator().manual_seed(seed)
    return torch.randperm(num_prototypes, generator=generator)


def block_assignments(logits: torch.Tensor, block_size: int) -> torch.Tensor:
    """Return log-probabilities within each block of ``block_size`` columns.

    From logits (N, K) to shape (N, K / block_size, block_size).
    """
    return logits.unflatten(1, (-1, block_size)).log_softmax(dim=2)


def assignment_consistency(
    students: Sequence[torch.Tensor], teachers: Sequence[torch.Tensor]
) -> torch.Tensor:
    r"""Return the consistency of the assignments of different views.

    .. math:: -\log \langle p_s, p_t \rangle

    averaged over blocks, samples, and all pairs of a student's view and a
    different view of the teacher's.

    Args:
        students (Sequence[Tensor]): Log-probabilities of each view of the
            student, shape (N, B, C): N samples, B blocks of C prototypes.
            The teacher's views are the first of them.
        teachers (Sequence[Tensor]): Log-probabilities of the teacher's views,
            shape (N, B, C).

    Returns:
        Tensor: A scalar >= 0.
    """
    pairs = [
        -(s + t).logsumexp(dim=2).mean()
        for (i, s), (j, t) in product(enumerate(students), enumerate(teachers))
        if i != j
    ]
    return torch.stack(pairs).mean()


def divergence_from_uniform(views: Sequence[torch.Tensor]) -> torch.Tensor:
    r"""Return the KL divergence of the mean assignment from uniform.

    .. math:: \log C + \sum_c \bar p_c \log \bar p_c

    The mean assignment is over all samples, views of both networks and
    ranks, each counted once; the divergence is averaged over blocks. A
    collective call.

    Args:
        views (Sequence[Tensor]): Log-probabilities of each view, shape
            (N, B, C), the same N on every rank.

    Returns:
        Tensor: A scalar in [0, log C].
    """
    mean = torch.stack([view.exp().mean(dim=0) for view in views]).mean(dim=0)
    mean = gather_with_grad(mean[None]).mean(dim=0)
    # A prototype without samples adds 0, the limit of p log p.
    smallest = torch.finfo(mean.dtype).tiny
    negative_entropy = (mean * mean.clamp_min(smallest).log()).sum(dim=1)
    return negative_entropy.mean() + math.log(mean.shape[1])
