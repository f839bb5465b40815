# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch
import torch.nn.functional as F
from torch import nn

from pauc_mm.clustering.mixture.online_gaussian_mixture import (
    OnlineGaussianMixture,
)
from pauc_mm.utils import derive_seed


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
        **mixture: Options of the mixture. Its seed is mixed with that of the
            run by :meth:`seed_run`.

    Raises:
        ValueError: An option is out of its range.
    """

    def __init__(self, num_prototypes: int, dim: int, **mixture) -> None:
        super().__init__()
        self.mixture = OnlineGaussianMixture(num_prototypes, dim, **mixture)
        self._seed = self.mixture.seed
        self._loaded = False
        self._draw_directions()

    def vectors(self) -> torch.Tensor:
        """The prototypes as they are now: a copy, without gradient.

        Returns:
            Tensor: l2-normalised, shape (K, D), float32.
        """
        with torch.autocast(self.mixture.means.device.type, enabled=False):
            return F.normalize(self.mixture.means, dim=1)

    def seed_run(self, seed: int) -> None:
        """Make what is drawn a function of the seed of the run, too.

        Prototypes that a checkpoint has brought stay as they are.

        Args:
            seed (int): The same on all ranks.
        """
        self.mixture.seed = derive_seed(seed, self._seed)
        if not self._loaded and not self.mixture.ready:
            self._draw_directions()

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

    def _draw_directions(self) -> None:
        generator = torch.Generator().manual_seed(self.mixture.seed)
        shape = self.mixture.num_components, self.mixture.dim
        directions = F.normalize(torch.randn(shape, generator=generator))
        self.mixture.means.copy_(directions)

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._loaded = True
