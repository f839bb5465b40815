# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch
import torch.nn.functional as F
from torch import nn

from ..clustering.online_gaussian_mixture import OnlineGaussianMixture


class MixturePrototypes(nn.Module):
    """Prototypes that are learned apart from the encoder.

    The directions of the means of an
    :class:`~pauc_mm.clustering.OnlineGaussianMixture` of the teacher's
    l2-normalised embeddings (*Why Prototypes Collapse*, ICLR 2026). No
    gradient reaches them. Until the mixture has seen enough to begin, they
    are fixed random directions.

    Args:
        num_prototypes (int): K.
        dim (int): D.
        **mixture: Options of the mixture.

    Raises:
        ValueError: An option is out of its range.
    """

    def __init__(self, num_prototypes: int, dim: int, **mixture) -> None:
        super().__init__()
        self.mixture = OnlineGaussianMixture(num_prototypes, dim, **mixture)
        generator = torch.Generator().manual_seed(self.mixture.seed)
        directions = torch.randn(num_prototypes, dim, generator=generator)
        self.mixture.means.copy_(F.normalize(directions, dim=1))

    def vectors(self) -> torch.Tensor:
        """The prototypes as they are now: a copy, without gradient.

        Returns:
            Tensor: l2-normalised, shape (K, D), float32.
        """
        with torch.autocast(self.mixture.means.device.type, enabled=False):
            return F.normalize(self.mixture.means, dim=1)

    @torch.no_grad()
    def update(self, embeddings: torch.Tensor) -> None:
        """Learn from the teacher's embeddings; a collective call.

        Args:
            embeddings (Tensor): Shape (N, D), of any length but zero.

        Raises:
            ValueError: They are not finite, see
                :meth:`OnlineGaussianMixture.update`.
        """
        self.mixture.update(F.normalize(embeddings.float(), dim=1))
