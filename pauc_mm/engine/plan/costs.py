# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Operations and bytes of a training: counted, nothing is computed."""

import copy
from typing import Any, NamedTuple

import torch
from mmpretrain.models import MoCo
from mmpretrain.registry import OPTIMIZERS
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from pauc_mm.models.embed import encode

Shape = tuple[int, ...]
_BATCH = 2  # BatchNorm needs more than one value


class Pass(NamedTuple):
    """Forward pass of an image through backbone and neck."""

    flops: int  # a multiplication and an addition are two
    kept: int  # bytes for the backward pass, in full precision


def forward_pass(model: nn.Module, shape: Shape) -> Pass:
    """Count the forward pass of one image (C, H, W)."""
    memo = {id(p): _meta(p) for p in (*model.parameters(), *model.buffers())}
    weights = {_storage(part) for part in memo.values()}
    model = copy.deepcopy(model, memo).train()  # without the numbers
    kept = {}

    def keep(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in weights:
            kept[_storage(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    images = torch.empty(_BATCH, *shape, device='meta')
    counter = FlopCounterMode(display=False)
    with counter, saved_tensors_hooks(keep, lambda tensor: tensor):
        graph = encode(model, images)
    del graph  # which kept the storages apart
    return Pass(counter.get_total_flops() // _BATCH, sum(kept.values()) // 2)


def _meta(part: Tensor) -> Tensor:
    empty = part.detach().to('meta')
    if not isinstance(part, nn.Parameter):
        return empty
    return nn.Parameter(empty, requires_grad=part.requires_grad)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def network_passes(model: nn.Module, views: int) -> tuple[int, int]:
    """Return how many of an image's views the two encoders see."""
    if isinstance(model, MoCo):  # PCL, PAUC and CLD too: the last is the key
        return views - 1, 1
    if hasattr(model, 'encoder_k') or hasattr(model, 'target_net'):
        return views, min(views, 2)  # CARP, BYOL
    return views, 0


def model_bytes(model: nn.Module, optimizer: dict) -> dict[str, int]:
    """Return the bytes of a model and of the state of its optimizer."""
    sizes = dict(weights=0, momentum_encoder=0)
    for part in model.parameters():
        name = 'weights' if part.requires_grad else 'momentum_encoder'
        sizes[name] += part.nbytes
    # A step with a small matrix shows what is kept for each weight.
    weight = nn.Parameter(torch.zeros(32, 32))
    weight.grad = torch.ones_like(weight)
    built = OPTIMIZERS.build({**optimizer, 'params': [weight]})
    built.step()
    state = [v for v in built.state[weight].values() if torch.is_tensor(v)]
    state = sum(v.nbytes for v in state if v.shape) / weight.nbytes
    queue = getattr(model, 'queue', torch.empty(0)).nbytes
    buffers = sum(part.nbytes for part in model.buffers()) - queue
    sizes |= dict(optimizer=round(sizes['weights'] * state), queue=queue)
    return sizes | dict(buffers=buffers)


def kmeans_flops(
    kmeans: Any, k: int, dim: int, images: int, iterations: int
) -> int:
    """Count a clustering: iterations, perhaps on a part, and assignment."""
    rows = min(images, k * kmeans.max_points_per_centroid)
    return 2 * k * dim * (rows * iterations + images)


def kmeans_bytes(kmeans: Any, k: int, dim: int) -> int:
    """Return what k-means needs beside the embeddings."""
    if is_sharded(kmeans):
        return kmeans.memory(0, k, dim)
    return 2 * 4 * k * dim  # centroids, and those of the best run


def is_sharded(kmeans: Any) -> bool:
    """Return whether all ranks work on each clustering."""
    return getattr(kmeans, 'sharded', False)
