# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Embeddings of the training set for the E-step."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dataset import BaseDataset
from mmengine.dist import all_reduce, get_dist_info
from mmengine.logging import print_log
from torch import Tensor, nn

from pauc_mm.models.prototypes.momentum_bank import MomentumBank
from pauc_mm.utils import Shard, first_over_ranks

from .dataset import embed_dataset, non_finite_rows

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
) -> Shard:
    """Embed every image of the training set once. A collective call.

    The N images have their ``sample_idx`` in the data sample. With a bank,
    this rank's embeddings of the epoch before, only images that no rank has
    seen are embedded; of an image that was seen several times, by one rank or
    by several, the normalised mean is taken. All other arguments, and what is
    raised, are those of :func:`~pauc_mm.embedding.dataset.embed_dataset`.

    Returns:
        Shard: Of the l2-normalised embeddings (N, D), float32, those that
        this rank made, where the model is; of an image that several ranks saw
        the first has it.
    """
    rank, world_size = get_dist_info()
    total = len(dataset)

    def embed(rows: Tensor | None) -> Tensor:
        return embed_dataset(
            model,
            dataset,
            rows,
            batch_size,
            num_workers,
            momentum,
            features=False,
            whole=False,
            **options,
        )[1]

    if bank is None:
        return Shard(embed(None), torch.arange(total)[rank::world_size], total)
    visits = bank.visits(total)
    ranks = (visits > 0).int()  # that have seen an image
    owner = torch.where(visits > 0, rank, world_size).int()
    all_reduce(ranks)
    all_reduce(owner, 'min')
    unseen = torch.nonzero(ranks == 0).flatten()
    print_log(
        f'{len(unseen)} of {total} images have no momentum embedding '
        'and are embedded now.',
        logger='current',
    )
    extra = unseen[rank::world_size]
    owner[extra] = rank
    index = torch.nonzero(owner == rank).flatten()
    places = _places(index, total)
    dim = bank.embeddings.shape[1]
    matrix = bank.embeddings.new_zeros(len(index), dim)
    bank.add_to(matrix, places)
    if len(unseen):
        matrix[places[extra]] = embed(unseen)
    shared = torch.nonzero(ranks > 1).flatten()
    for part in shared.split(_ROWS_AT_ONCE):
        sums = matrix.new_zeros(len(part), dim)
        bank.add_to(sums, _places(part, total))
        all_reduce(sums)
        own = owner[part] == rank
        matrix[places[part[own]]] = sums[own]
    several = torch.nonzero((visits[index] > 1) | (ranks[index] > 1)).flatten()
    for rows in several.split(_ROWS_AT_ONCE):
        matrix[rows] = F.normalize(matrix[rows], dim=1)
    return Shard(matrix, index, total)


def _places(index: Tensor, total: int) -> Tensor:
    """Return the place of each of N numbers in ``index``, or -1, (N,)."""
    places = torch.full((total,), -1)
    places[index] = torch.arange(len(index))
    return places


def check_finite(
    embeddings: Shard,
    epoch: int,
    path: Callable[[int], str | None] | None = None,
    amp: str = 'off',
) -> None:
    """Stop the training if an embedding is NaN or infinite.

    A collective call. For the message ``path`` gives the file of an image by
    its index, if it has one, and ``amp`` says where half precision is in use.

    Raises:
        RuntimeError: Naming the first images, and what to try.
    """
    bad = non_finite_rows(embeddings.rows)
    number, images = first_over_ranks(embeddings.index[bad])
    if not number:
        return
    paths = {i: path(i) if path is not None else None for i in images}
    first = [f'{i} ({name})' if name else str(i) for i, name in paths.items()]
    raise RuntimeError(
        f'{number} of {embeddings.total} embeddings are not finite in epoch '
        f'{epoch}; first sample_idx: {", ".join(first)}. AMP: {amp}. Lower '
        'the learning rate (optim_wrapper.optimizer.lr) or clip gradients '
        '(optim_wrapper.clip_grad); with fp16 AMP try "bfloat16", in training '
        '(optim_wrapper.dtype) or in the E-step '
        '(default_hooks.clustering.amp_dtype).'
    )
