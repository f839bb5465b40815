# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import torch

# No second copy of a matrix of a million embeddings.
_ROWS_AT_ONCE = 65536


def concentration(
    embeddings: torch.Tensor,
    centroids: torch.Tensor,
    assignments: torch.Tensor,
    temperature: float,
    alpha: float = 10.0,
) -> torch.Tensor:
    r"""Concentration phi of each prototype (PCL, eq. 12).

    .. math::
        \phi_c = \frac{\sum_{z=1}^{Z} \|v'_z - c\|_2}{Z \log(Z + \alpha)}

    A small phi is a tight, large cluster; phi takes the place of the
    temperature, so a loose cluster pulls its members less than a tight one
    repels them. As in the official implementation, clusters with fewer than
    two members take the largest phi, phi is clipped to its 10th and 90th
    percentile, and the set is scaled to a mean of :attr:`temperature`. Where
    that implementation divides zero by zero (all clusters are singletons, or
    all members sit on their centroid) every phi is the temperature; a single
    phi of zero is raised to the smallest positive one.

    Args:
        embeddings (Tensor): Momentum embeddings v', shape (N, D).
        centroids (Tensor): Centroids c, shape (K, D).
        assignments (Tensor): Cluster of each embedding, shape (N,), int64.
        temperature (float): The mean tau that the set is scaled to, > 0.
        alpha (float): Smoothing of small clusters. Defaults to 10.

    Returns:
        Tensor: phi, shape (K,), float32, positive and finite.

    Raises:
        ValueError: If the temperature is not positive.
    """
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ValueError(
            f'temperature must be a positive number, but is {temperature}.'
        )
    num_prototypes = len(centroids)
    sizes = torch.bincount(assignments, minlength=num_prototypes)
    total = torch.zeros(
        num_prototypes, dtype=torch.float64, device=embeddings.device
    )
    for rows in torch.arange(len(embeddings)).split(_ROWS_AT_ONCE):
        part = slice(int(rows[0]), int(rows[-1]) + 1)
        ids = assignments[part]
        distances = (embeddings[part] - centroids[ids]).norm(dim=1)
        total.index_add_(0, ids, distances.double())
    phi = total / (sizes.clamp(min=1) * torch.log(sizes + alpha))
    estimated = sizes >= 2
    if not bool((phi[estimated] > 0).any()):
        return torch.full(
            (num_prototypes,), float(temperature), device=phi.device
        )
    phi = torch.where(estimated, phi, phi[estimated].max())
    low, high = torch.quantile(phi, phi.new_tensor([0.1, 0.9]))
    phi = phi.clamp(low, high)
    phi = torch.where(phi > 0, phi, phi[phi > 0].min())
    return (phi * (temperature / phi.mean())).float()
