# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import torch


def concentration(
    distances: torch.Tensor,
    assignments: torch.Tensor,
    num_prototypes: int,
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
        distances (Tensor): ||v' - c||_2 of each momentum embedding v' to its
            centroid c, shape (N,), float.
        assignments (Tensor): Cluster of each embedding, shape (N,), int64.
        num_prototypes (int): K.
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
    sizes = torch.bincount(assignments, minlength=num_prototypes)
    total = torch.bincount(assignments, distances.double(), num_prototypes)
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
