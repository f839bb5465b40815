# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Checks of the input of every measure, and optional imports."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

ArrayLike = Tensor | np.ndarray

# Below this a float32 vector has no direction left to normalise.
_MIN_NORM = torch.finfo(torch.float32).tiny


class NoDirectionError(ValueError):
    """Embeddings of length zero: a collapsed network, or missing layers."""


def as_matrix(values: ArrayLike, name: str = 'embeddings') -> Tensor:
    """Return a finite matrix (N, D), float32 or float64, detached.

    It stays on its device; ``name`` is its name in messages.

    Raises:
        ValueError: If it is not a matrix, is empty, or is not finite.
    """
    values = torch.as_tensor(values).detach()
    if values.ndim != 2 or values.numel() == 0:
        raise ValueError(
            f'{name} must be a non-empty matrix of shape (N, D), '
            f'got shape {tuple(values.shape)}.'
        )
    if values.dtype not in (torch.float32, torch.float64):
        values = values.float()
    bad = torch.nonzero(~values.isfinite().all(dim=1)).flatten()
    if len(bad):
        raise ValueError(
            f'{len(bad)} of {len(values)} {name} are not finite; '
            f'first rows: {bad[:10].tolist()}. Training has diverged or the '
            'input holds NaN: lower the learning rate or check the data.'
        )
    return values


def as_unit_vectors(
    values: ArrayLike,
    name: str = 'embeddings',
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Return the rows of :func:`as_matrix` divided by their l2 norm.

    Raises:
        NoDirectionError: If a row has length zero.
        ValueError: If a row is not finite.
    """
    values = as_matrix(values, name).to(dtype)
    norms = torch.linalg.vector_norm(values, dim=1, keepdim=True)
    zero = torch.nonzero(norms.flatten() < _MIN_NORM).flatten()
    if len(zero):
        raise NoDirectionError(
            f'{len(zero)} of {len(values)} {name} have zero norm and cannot '
            f'be normalised; first rows: {zero[:10].tolist()}. The network '
            'maps these samples to zero (dead units or a wrong layer).'
        )
    return values / norms


def as_groups(
    groups: ArrayLike | Sequence[int], size: int, name: str = 'groups'
) -> Tensor:
    """Return N = ``size`` group numbers, (N,), as int64 on the CPU.

    They are negative for samples without a group.

    Raises:
        ValueError: If the shape is wrong.
        TypeError: If they are not integers.
    """
    groups = torch.as_tensor(groups).detach().cpu()
    if groups.shape != (size,):
        raise ValueError(
            f'{name} must have shape ({size},), one number per sample, '
            f'got shape {tuple(groups.shape)}.'
        )
    if groups.is_floating_point() or groups.is_complex():
        raise TypeError(f'{name} must be integers, got {groups.dtype}.')
    return groups.long()


def subsample(values: Tensor, max_samples: int | None, seed: int) -> Tensor:
    """Return at most ``max_samples`` rows, drawn without replacement.

    They stay in order; None keeps all. Global generators are not touched.
    """
    if max_samples is None or len(values) <= max_samples:
        return values
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(values), max_samples, replace=False))
    return values[torch.from_numpy(rows).to(values.device)]
