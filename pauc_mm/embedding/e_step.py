# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Embeddings of the training set for the E-step."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dataset import BaseDataset
from mmengine.dist import all_reduce
from mmengine.logging import print_log
from torch import Tensor, nn

from pauc_mm.models.prototypes.momentum_bank import MomentumBank

from .dataset import embed_dataset, non_finite_rows, sum_over_ranks

_ROWS_AT_ONCE = 65536


@torch.no_grad()
def extract_embeddings(
    model: nn.Module,
    dataset: BaseDataset,
    batch_size: int,
    num_workers: int = 0,
    momentum: bool = True,
    bank: MomentumBank | None = None,
    **options: Any,
) -> Tensor:
    """Embed every image of the training set once. A collective call.

    The N images have their ``sample_idx`` in the data sample. With a bank,
    this rank's embeddings of the epoch before, only images that no rank has
    seen are embedded; of an image that was seen several times, by one rank or
    by several, the normalised mean is taken. All other arguments are those of
    :func:`~pauc_mm.embedding.dataset.embed_dataset`.

    Returns:
        Tensor: l2-normalised embeddings, shape (N, D), float32, on the CPU,
        the same on every rank.

    Raises:
        RuntimeError: See :func:`~pauc_mm.embedding.dataset.embed_dataset`.
    """

    def embed(rows: Tensor | None) -> Tensor:
        return embed_dataset(
            model,
            dataset,
            rows,
            batch_size,
            num_workers,
            momentum,
            features=False,
            **options,
        )[1]

    if bank is None:
        return embed(None)
    matrix = torch.zeros(len(dataset), bank.embeddings.shape[1])
    visits = torch.zeros(len(dataset), dtype=torch.int32)
    bank.sum_into(matrix, visits)
    sum_over_ranks(matrix)
    all_reduce(visits)
    unseen = torch.nonzero(visits == 0).flatten()
    print_log(
        f'{len(unseen)} of {len(dataset)} images have no momentum embedding '
        'and are embedded now.',
        logger='current',
    )
    if len(unseen):
        matrix[unseen] = embed(unseen)
    for rows in torch.nonzero(visits > 1).flatten().split(_ROWS_AT_ONCE):
        matrix[rows] = F.normalize(matrix[rows], dim=1)
    return matrix


def check_finite(
    embeddings: Tensor,
    epoch: int,
    path: Callable[[int], str | None] | None = None,
    amp: str = 'off',
) -> None:
    """Stop the training if an embedding (N, D) is NaN or infinite.

    For the message ``path`` gives the file of an image by its index, if it has
    one, and ``amp`` says where half precision is in use.

    Raises:
        RuntimeError: Naming the first images, and what to try.
    """
    bad = non_finite_rows(embeddings)
    if not bad:
        return
    paths = {i: path(i) if path is not None else None for i in bad[:5]}
    first = [f'{i} ({name})' if name else str(i) for i, name in paths.items()]
    raise RuntimeError(
        f'{len(bad)} of {len(embeddings)} embeddings are not finite in epoch '
        f'{epoch}; first sample_idx: {", ".join(first)}. AMP: {amp}. Lower '
        'the learning rate (optim_wrapper.optimizer.lr) or clip gradients '
        '(optim_wrapper.clip_grad); with fp16 AMP try "bfloat16", in training '
        '(optim_wrapper.dtype) or in the E-step '
        '(default_hooks.clustering.amp_dtype).'
    )
