# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import torch

from pauc_mm.utils.checks import check_positive


def concentration(
    mean_distances: torch.Tensor,
    sizes: torch.Tensor,
    temperature: float,
    alpha: float = 10.0,
) -> torch.Tensor:
    r"""Return the concentration phi of each prototype (PCL, eq. 12).

    .. math::
        \phi_c = \frac{\sum_{z=1}^{Z} \|v'_z - c\|_2}{Z \log(Z + \alpha)}

    A small phi is a tight, large cluster; phi takes the place of the
    temperature.

    As in the official implementation of PCL, clusters with fewer than two
    members take the largest phi, phi is clipped to its 10th and 90th
    percentile, and the set is scaled to a mean of :attr:`temperature`. Where
    that implementation divides zero by zero (all clusters are singletons, or
    all members sit on their centroid) every phi is the temperature; a single
    phi of zero is raised to the smallest positive one. Nothing waits for the
    device.

    Args:
        mean_distances (Tensor): Mean of ||v' - c||_2 over the members of each
            cluster, shape (K,), float; ignored below two members.
        sizes (Tensor): Z, members of each cluster, shape (K,), may be
            fractions.
        temperature (float): The mean tau that the set is scaled to, > 0.
        alpha (float): Smoothing of small clusters.

    Returns:
        Tensor: phi, shape (K,), float32, positive and finite.

    Raises:
        ValueError: If the temperature is not positive.
    """
    check_positive('temperature', temperature)
    phi = mean_distances / torch.log(sizes + alpha)
    estimated = sizes >= 2
    largest = phi.masked_fill(~estimated, 0).amax()
    phi = torch.where(estimated, phi, largest)
    ordered = phi.sort().values
    phi = phi.clamp(_quantile(ordered, 0.1), _quantile(ordered, 0.9))
    smallest = phi.masked_fill(phi <= 0, math.inf).amin()
    phi = torch.where(phi > 0, phi, smallest)
    phi = phi * (temperature / phi.mean())
    return torch.where(largest > 0, phi, temperature).float()


def _quantile(ordered: torch.Tensor, q: float) -> torch.Tensor:
    """Return torch.quantile, which reads q and so waits for the device."""
    position = q * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return torch.lerp(ordered[below], ordered[above], position - below)
