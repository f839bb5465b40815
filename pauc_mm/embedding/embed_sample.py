# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Embed some images within a run, and leave no trace in it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from mmengine.dataset import default_collate
from mmengine.dist import all_reduce, get_rank, get_world_size
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset

from pauc_mm.models.embed import embed_batch, encoder_of
from pauc_mm.utils import raise_together, share_buffers

_PIECE = 65536  # rows


@torch.no_grad()
def embed_sample(
    model: nn.Module,
    dataset: Dataset,
    places: np.ndarray,
    batch_size: int,
    num_workers: int = 0,
    momentum: bool = False,
    amp_dtype: str | None = None,
    channels_last: bool = False,
    features: bool = True,
) -> tuple[Tensor | None, Tensor]:
    """Features and embeddings of some samples of a data set.

    Each rank embeds its share. Modes and buffers of the model and all random
    streams are afterwards as they were, on every rank; what is random within
    begins with a fixed seed. A collective call.

    Args:
        model (nn.Module): The algorithm, wrapped or not.
        dataset (Dataset): Gives one view of each image.
        places (np.ndarray): Which samples, shape (n,), int.
        batch_size (int): Images a batch on each rank.
        num_workers (int): Worker processes. Defaults to 0.
        momentum (bool): Whether the momentum encoder is used.
            Defaults to False.
        amp_dtype (str, optional): 'float16' or 'bfloat16' for autocast.
            Defaults to None: full precision.
        channels_last (bool): Whether the images go through the network in
            that memory format. Defaults to False.
        features (bool): Whether the features are wanted, which of a million
            images take ten gigabytes. Defaults to True.

    Returns:
        tuple[Tensor or None, Tensor]: The backbone's pooled features, shape
        (n, C), and the l2-normalised embeddings, shape (n, D); float32, on
        the CPU, the same on every rank.

    Raises:
        RuntimeError: If another rank failed. What fails on this one is raised
            as it is.
    """
    rank, world_size = get_rank(), get_world_size()
    own = places[rank::world_size]
    parts: tuple[Tensor, ...] = ()
    error = None
    with _undisturbed(model):
        share_buffers(*encoder_of(model, momentum))
        try:
            if len(own):
                loader = DataLoader(
                    Subset(dataset, own.tolist()),
                    batch_size,
                    num_workers=num_workers,
                    collate_fn=default_collate,
                )
                batches = []
                for batch in loader:
                    both = embed_batch(
                        model, batch, momentum, amp_dtype, channels_last
                    )[:2]
                    wanted = both if features else both[1:]
                    batches.append([matrix.cpu() for matrix in wanted])
                parts = tuple(map(torch.cat, zip(*batches)))
        except Exception as caught:
            error = caught
        raise_together(error, 'Embedding images')
    if world_size > 1:
        parts = _of_all_ranks(parts, len(places), 1 + features)
    return parts[0] if features else None, parts[-1]


def _of_all_ranks(
    parts: tuple[Tensor, ...], number: int, matrices: int
) -> tuple[Tensor, ...]:
    """Put the shares of the ranks together, a piece at a time."""
    rank, world_size = get_rank(), get_world_size()
    widths = torch.tensor([p.shape[1] for p in parts] or [0] * matrices)
    all_reduce(widths, op='max')  # a rank without images knows no widths
    whole = tuple(torch.zeros(number, int(width)) for width in widths)
    for matrix, part in zip(whole, parts):
        matrix[rank::world_size] = part
    for matrix in whole:
        # On the GPU, where NCCL takes it, all of it may not fit.
        for piece in matrix.split(_PIECE):
            all_reduce(piece)
    return whole


@contextmanager
def _undisturbed(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    python, numpy = random.getstate(), np.random.get_state()
    device = next(model.parameters()).device
    devices = [device] if device.type == 'cuda' else []
    with torch.random.fork_rng(devices=devices):
        try:
            random.seed(0)
            np.random.seed(0)
            torch.random.default_generator.manual_seed(0)
            model.eval()
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
            for module, mode in modes:
                module.training = mode
            for buffer, value in buffers:
                buffer.copy_(value)
