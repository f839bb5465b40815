# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from typing import Any

import torch
from torch import nn

from pauc_mm.clustering.concentration import concentration

from . import steps
from .options import MixtureOptions

MIB = 2**20


class DiagonalMixture(nn.Module):
    """State of a mixture of Gaussians, and what it says of embeddings.

    :class:`~pauc_mm.clustering.OnlineGaussianMixture` learns it. All of the
    state is in buffers.

    Args:
        options (MixtureOptions): Sizes, annealing, floor and scratch.
    """

    means: torch.Tensor
    scatter: torch.Tensor
    mass: torch.Tensor
    frequency: torch.Tensor
    centre: torch.Tensor
    counts: torch.Tensor

    def __init__(self, options: MixtureOptions) -> None:
        super().__init__()
        self.options = options
        self.num_components, self.dim = options.num_components, options.dim
        shape = self.num_components, self.dim
        equal = torch.full(shape[:1], 1 / self.num_components)
        # float64: mmengine's SyncBuffersHook averages them exactly.
        counts = torch.zeros(2, dtype=torch.float64)
        self.register_buffer('means', torch.zeros(shape))
        self.register_buffer('scatter', torch.ones(shape))  # before the floor
        self.register_buffer('mass', torch.ones(self.num_components))
        self.register_buffer('frequency', equal)
        self.register_buffer('centre', torch.zeros(self.dim))
        self.register_buffer('counts', counts)  # updates, whether it began
        # Beside the buffer, which on a GPU could not be read without waiting.
        self._ready = False

    @property
    def ready(self) -> bool:
        """Whether the mixture has begun."""
        return self._ready

    @property
    def steps(self) -> torch.Tensor:
        """Updates since it began, a scalar, float64, on the device."""
        return self.counts[0]

    @property
    def variances(self) -> torch.Tensor:
        """Diagonals of Sigma, shape (K, D)."""
        return self.scatter.clamp_min(self.options.min_variance)

    @property
    def weights(self) -> torch.Tensor:
        """Weights pi, shape (K,): shares of what the components remember.

        None remembers more than 1 / (1 - eta) samples, so components that
        have been seen often have equal weights.
        """
        return self.mass / self.mass.sum()

    @property
    def inverse_temperature(self) -> torch.Tensor:
        """Exponent b of the next update, a scalar on the device."""
        start = 1 / self.options.start_temperature
        return steps.inverse_temperature(
            self.steps, start, self.options.annealing_steps
        ).to(self.means.dtype)

    def distances(self) -> torch.Tensor:
        r"""Return root mean square distances to the centroids, shape (K,).

        With h of mean mu and variance Sigma, and c = mu / ||mu||,
        E ||h - c||^2 = tr Sigma + ||mu - c||^2 = tr Sigma + (||mu|| - 1)^2.
        """
        lengths = torch.linalg.vector_norm(self.means, dim=1)
        return (self.scatter.sum(dim=1) + (lengths - 1).square()).sqrt()

    def concentration(self, temperature: float) -> torch.Tensor:
        """Return the concentration phi of each component, for PCL's eq. 12.

        :meth:`distances` stand for the mean distances, of which they are
        bounds (Jensen), close in many dimensions. Z is the number of samples
        that ``frequency`` remembers, K / (1 - eta) in all, so no size of a
        data set enters.

        Args:
            temperature (float): The mean tau that phi is scaled to, > 0.
        """
        # In this order, with which checkpoints resume bit for bit.
        sizes = self.frequency * self.num_components / (1 - self.options.eta)
        return concentration(self.distances(), sizes, temperature)

    @torch.compiler.disable
    @torch.no_grad()
    def assign(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Return the component of the largest responsibility.

        Args:
            embeddings (Tensor): h, shape (N, D), any floating dtype, finite.

        Returns:
            Tensor: Shape (N,), int64.
        """
        with full_precision(self.means.device):
            statistics = self._statistics(self._checked(embeddings, True))
            log_weights = self._log_weights()
            best: Any = None
            for part in self._parts(len(statistics)):
                joint = self._joint(statistics, log_weights, part)
                best = largest(joint, part, best)
            return best[1]

    def _statistics(self, embeddings):
        # About the centre: squares of large values lose their digits.
        return steps.sufficient_statistics(embeddings - self.centre)

    def _log_weights(self):
        return self.weights.log()

    def _joint(self, statistics, log_weights, part):
        """Return joint log-densities of some components, times b, (N, K')."""
        natural = steps.natural_parameters(
            self.means[part] - self.centre,
            self.scatter[part].clamp_min(self.options.min_variance),
            log_weights[part],
        )
        if self.options.annealing_steps:
            natural *= self.inverse_temperature
        return statistics @ natural.T

    def _scratch(self) -> int:
        """Return how many numbers the scratch has room for."""
        return self.options.scratch_mib * MIB // self.means.element_size()

    def _parts(self, samples: int) -> list[slice]:
        """Cut the components into slices that fit the scratch."""
        # Of a component: N log-densities, twice for a moment, and nine rows
        # of D at most in a merge.
        size = max(self._scratch() // (2 * samples + 9 * self.dim), 1)
        starts = range(0, self.num_components, size)
        return [slice(start, start + size) for start in starts]

    def _checked(
        self, embeddings: Any, needs_start: bool = False
    ) -> torch.Tensor:
        if needs_start and not self._ready:
            raise RuntimeError(
                'The mixture has not begun. Give init_samples embeddings to '
                'update(), or call initialise().'
            )
        is_tensor = isinstance(embeddings, torch.Tensor)
        if not is_tensor or not embeddings.is_floating_point():
            got = embeddings.dtype if is_tensor else type(embeddings).__name__
            raise TypeError(
                f'embeddings must be a floating-point tensor, got {got}.'
            )
        if embeddings.dim() != 2 or embeddings.shape[1] != self.dim:
            raise ValueError(
                f'embeddings must have shape (N, D) with D = dim = {self.dim},'
                f' got {tuple(embeddings.shape)}.'
            )
        if not len(embeddings):
            raise ValueError('embeddings are empty: the shape is (0, D).')
        return embeddings.detach().to(self.means)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._ready = bool(self.counts[1] > 0)

    def _apply(self, fn, recurse=True):
        """Move between devices, but never to half precision."""

        def move(tensor):
            moved = fn(tensor)
            if moved.is_floating_point() and moved.element_size() < 4:
                return tensor.to(moved.device)
            return moved

        super()._apply(move, recurse)
        self.counts = self.counts.double()
        return self


def largest(joint, part, best):
    """Return the largest value and its index, over this slice and before."""
    value, index = joint.max(dim=1)
    index += part.start
    if best is None:
        return value, index
    index = torch.where(value > best[0], index, best[1])
    return torch.maximum(value, best[0]), index


def full_precision(device: torch.device) -> torch.autocast:
    """Return a context without autocast."""
    return torch.autocast(device.type, enabled=False)
