# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""One pass over a data set, shared by all ranks."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import Dataset, Subset

from pauc_mm.models.embed import embed_batch, encoder_of
from pauc_mm.utils import (
    Shard,
    first_over_ranks,
    progress,
    raise_together,
    share_buffers,
)

_ROWS_AT_ONCE = 16384


@torch.no_grad()
def embed_dataset(
    model: nn.Module,
    dataset: BaseDataset,
    rows: Sequence[int] | Tensor | None = None,
    batch_size: int = 256,
    num_workers: int = 0,
    momentum: bool = False,
    amp_dtype: str | None = None,
    channels_last: bool = False,
    features: bool = True,
    description: str = 'Embedding images',
    whole: bool = True,
) -> tuple[Tensor | None, Tensor]:
    """Embed images of a data set, each of them once. A collective call.

    All ranks embed in eval mode with the buffers of rank 0; the mode of
    every module is restored.

    Args:
        model (nn.Module): The algorithm, wrapped or not.
        dataset (BaseDataset): Gives one view of each image.
        rows (sequence of int, optional): Indices of the n images; None: all.
        batch_size (int): Images a batch on each rank.
        num_workers (int): Worker processes.
        momentum (bool): Whether to use the momentum encoder.
        amp_dtype (str, optional): 'float16' or 'bfloat16' for autocast;
            None: full precision.
        channels_last (bool): Whether images go through the network in that
            memory format.
        features (bool): Whether to return features; those of a million
            images take ten gigabytes.
        description (str): Label of the progress bar.
        whole (bool): Whether every rank gets all n, on the CPU; else rank r
            gets those of ``rows[r::world_size]``, where the model is.

    Returns:
        tuple[Tensor or None, Tensor]: Pooled features of the backbone, shape
        (n, C), and l2-normalised embeddings, shape (n, D); float32.

    Raises:
        RuntimeError: If a ``sample_idx`` is not the index of its image, or
            another rank failed.
    """
    rows = range(len(dataset)) if rows is None else [int(r) for r in rows]

    def embed(batch: dict) -> tuple[Tensor, ...]:
        feature, embedding, samples = embed_batch(
            model, batch, momentum, amp_dtype, channels_last
        )
        index = torch.tensor([s.get('sample_idx', -1) for s in samples])
        return (embedding, index, feature) if features else (embedding, index)

    with _evaluating(model):
        share_buffers(*encoder_of(model, momentum))
        embeddings, index, *rest = map_dataset(
            *(embed, dataset, rows, batch_size, num_workers, description),
            whole=whole,
        )
    rank, world_size = get_dist_info()
    expected = torch.as_tensor(rows)[rank::world_size]
    if whole:
        index = index[rank::world_size]
    pairs = torch.stack([expected, index], dim=1)
    wrong = pairs[(index >= 0) & (index != expected)]
    number, first = first_over_ranks(wrong)
    if number:
        raise RuntimeError(
            f'sample_idx is not the index of {number} of {len(rows)} '
            f'images, first {[pair[0] for pair in first]} with sample_idx '
            f'{[pair[1] for pair in first]}: images would share an embedding. '
            'The transforms must leave sample_idx as the data set gives it.'
        )
    return rest[0] if features else None, embeddings


def map_dataset(
    function: Callable[[dict], Sequence[Tensor]],
    dataset: Dataset,
    rows: Sequence[int],
    batch_size: int,
    num_workers: int = 0,
    description: str = 'Embedding images',
    whole: bool = True,
) -> tuple[Tensor, ...]:
    """Apply a function to images of a data set. A collective call.

    Rank r takes the rows r, r + world_size and so on.

    Args:
        function (callable): From a collated batch of B images to tensors of
            shape (B, ...).
        dataset (Dataset): The images.
        rows (sequence of int): Indices of n images, at least one.
        batch_size (int): Images a batch on each rank.
        num_workers (int): Worker processes.
        description (str): Label of the progress bar.
        whole (bool): Whether every rank gets the tensors of all images, on
            the CPU; else rank r gets those of ``rows[r::world_size]``, where
            the function made them.

    Returns:
        tuple[Tensor, ...]: The tensors of the images in the order of
        ``rows``, shape (n, ...).

    Raises:
        RuntimeError: If another rank failed. What fails on this rank is
            raised as it is.
    """
    rank, world_size = get_dist_info()
    outputs: list[Tensor] = []
    own, device = len(rows[rank::world_size]), 'cpu' if whole else None
    error, start = None, 0
    try:
        loader = Runner.build_dataloader(
            dict(
                dataset=Subset(dataset, rows),
                sampler=dict(
                    type='DefaultSampler', shuffle=False, round_up=False
                ),
                batch_size=batch_size,
                num_workers=num_workers,
                collate_fn=dict(type='default_collate'),
            ),
            seed=0,
        )
        for batch in progress(loader, description):
            parts = function(batch)
            if not outputs:
                outputs = [
                    p.new_zeros(own, *p.shape[1:], device=device or p.device)
                    for p in parts
                ]
            end = start + len(parts[0])
            for output, part in zip(outputs, parts):
                output[start:end] = part
            start = end
    except Exception as caught:
        error = caught  # a rank that left here alone would hang the others
    raise_together(error, description)
    forms = all_gather_object([(o.shape[1:], o.dtype) for o in outputs])
    if not outputs:  # fewer images than ranks
        outputs = [
            torch.zeros(0, *shape, dtype=dtype)
            for shape, dtype in max(forms, key=len)
        ]
    if whole:
        index = torch.arange(len(rows))[rank::world_size]
        outputs = [Shard(o, index, len(rows)).gather() for o in outputs]
    return tuple(outputs)


def non_finite_rows(vectors: Tensor) -> list[int]:
    """Return the ascending indices of rows (N, D) with NaN or infinity."""
    # In slices, for isfinite takes more memory than what it looks at.
    finite = [
        rows.isfinite().all(dim=1) for rows in vectors.split(_ROWS_AT_ONCE)
    ]
    return torch.nonzero(~torch.cat(finite)).flatten().tolist()


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode for a while."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Restore random streams and the buffers of a model afterwards.

    What is random within begins with a fixed seed.
    """
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    python, numpy = random.getstate(), np.random.get_state()
    device = next(model.parameters()).device
    devices = [device] if device.type == 'cuda' else []
    with torch.random.fork_rng(devices=devices):
        try:
            random.seed(0)
            np.random.seed(0)
            torch.random.default_generator.manual_seed(0)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
            for buffer, value in buffers:
                buffer.copy_(value)
