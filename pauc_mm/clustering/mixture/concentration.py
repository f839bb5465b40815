# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Concentrations of prototypes that are components of a mixture."""

from __future__ import annotations

import torch

from pauc_mm.clustering.concentration import concentration_of_means

from .online_gaussian_mixture import OnlineGaussianMixture


def mixture_distances(mixture: OnlineGaussianMixture) -> torch.Tensor:
    r"""Root mean square distance of embeddings to the centroid of each.

    With h of mean mu and variance Sigma, and c = mu / ||mu||,
    E ||h - c||^2 = tr Sigma + ||mu - c||^2 = tr Sigma + (||mu|| - 1)^2.

    Args:
        mixture (OnlineGaussianMixture): Begun.

    Returns:
        Tensor: Shape (K,).
    """
    lengths = torch.linalg.vector_norm(mixture.means, dim=1)
    squares = mixture.scatter.sum(dim=1) + (lengths - 1).square()
    return squares.sqrt()


def mixture_concentration(
    mixture: OnlineGaussianMixture, temperature: float
) -> torch.Tensor:
    r"""Concentration phi of the components of a mixture, for PCL's eq. 12.

    :func:`mixture_distances` stand for the mean distances, of which they are
    bounds (Jensen), close in many dimensions. Z is the number of samples that
    ``frequency`` remembers, K / (1 - eta) in all, so no size of a data set
    enters.

    Args:
        mixture (OnlineGaussianMixture): Begun.
        temperature (float): The mean tau that the set is scaled to, > 0.

    Returns:
        Tensor: phi, shape (K,), float32, positive and finite.
    """
    sizes = mixture.frequency * mixture.num_components / (1 - mixture.eta)
    return concentration_of_means(
        mixture_distances(mixture), sizes, temperature
    )
