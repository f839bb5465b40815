# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch
from torch import nn

from . import steps as mixture_steps

MIB = 2**20


class DiagonalMixture(nn.Module):
    """The state of a mixture of Gaussians, and what it says of embeddings.

    How it comes to its state is left to
    :class:`~pauc_mm.clustering.OnlineGaussianMixture`, which describes the
    arguments. All of the state is in buffers.
    """

    def __init__(
        self,
        num_components: int,
        dim: int,
        weights: str,
        start_temperature: float,
        annealing_steps: int,
        min_variance: float,
        scratch_mib: int,
    ) -> None:
        super().__init__()
        self.num_components, self.dim = num_components, dim
        self.weighting = weights
        self.start_temperature = start_temperature
        self.annealing_steps = annealing_steps
        self.min_variance = min_variance
        self.scratch_mib = scratch_mib
        shape = (num_components, dim)
        equal = torch.full(shape[:1], 1 / num_components)
        counts = torch.zeros(2, dtype=torch.float64)
        self.register_buffer('means', torch.zeros(shape))
        self.register_buffer('scatter', torch.ones(shape))  # before the floor
        self.register_buffer('mass', torch.ones(num_components))
        self.register_buffer('frequency', equal)
        self.register_buffer('centre', torch.zeros(dim))
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
        return self.scatter.clamp_min(self.min_variance)

    @property
    def weights(self) -> torch.Tensor:
        """The weights pi, shape (K,); their sum is 1."""
        kind = self.weighting
        values = self.mass if kind == 'mass' else self.frequency
        return values / values.sum()

    @property
    def inverse_temperature(self) -> torch.Tensor:
        """The exponent b of the next update, a scalar on the device."""
        return mixture_steps.inverse_temperature(
            self.steps, 1 / self.start_temperature, self.annealing_steps
        ).to(self.means.dtype)

    @torch.compiler.disable
    @torch.no_grad()
    def log_responsibilities(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Logarithms of gamma at the present temperature.

        Args:
            embeddings (Tensor): h, shape (N, D), any floating dtype. What is
                not finite gives rows of NaN.

        Returns:
            Tensor: Shape (N, K), in the dtype of the state.

        Raises:
            RuntimeError: The mixture has not begun.
            ValueError: The shape is wrong.
            TypeError: Not a tensor of floating point.
        """
        with full_precision(self.means.device):
            statistics = self._statistics(self._checked(embeddings, True))
            log_weights = self._log_weights()
            joint = statistics.new_empty(len(statistics), self.num_components)
            for part in self._parts(len(statistics)):
                joint[:, part] = self._joint(statistics, log_weights, part)
            return joint.sub_(joint.logsumexp(dim=1, keepdim=True))

    @torch.compiler.disable
    @torch.no_grad()
    def assign(self, embeddings: torch.Tensor) -> torch.Tensor:
        """The component of the largest responsibility.

        Args:
            embeddings (Tensor): h, shape (N, D), any floating dtype, finite.

        Returns:
            Tensor: Shape (N,), int64.

        Raises:
            RuntimeError: The mixture has not begun.
            ValueError: The shape is wrong.
            TypeError: Not a tensor of floating point.
        """
        with full_precision(self.means.device):
            statistics = self._statistics(self._checked(embeddings, True))
            log_weights = self._log_weights()
            best = None
            for part in self._parts(len(statistics)):
                joint = self._joint(statistics, log_weights, part)
                best = largest(joint, part, best)
            return best[1]

    def _statistics(self, embeddings):
        # About the centre: the squares of what is far away have few digits.
        return mixture_steps.sufficient_statistics(embeddings - self.centre)

    def _log_weights(self):
        return self.weights.clamp_min(mixture_steps.TINY).log()

    def _joint(self, statistics, log_weights, part):
        """The joint log-densities of some components, times b, (N, K')."""
        natural = mixture_steps.natural_parameters(
            self.means[part] - self.centre,
            self.scatter[part].clamp_min(self.min_variance),
            log_weights[part],
        )
        if self.annealing_steps:
            natural *= self.inverse_temperature
        return statistics @ natural.T

    def _rows(self, columns: int) -> int:
        """Rows of a matrix that may take half of the scratch."""
        size = self.means.element_size()
        return max(self.scratch_mib * MIB // (2 * size * columns), 1)

    def _parts(self, samples: int) -> list[slice]:
        """The components, in pieces that the scratch has room for."""
        # Of a component: N log-densities, twice for a moment, and nine rows
        # of D at most in a merge.
        each = 2 * samples + 9 * self.dim
        step = self.scratch_mib * MIB // (self.means.element_size() * each)
        step = max(step, 1)
        ends = range(0, self.num_components, step)
        return [slice(first, first + step) for first in ends]

    def _checked(self, embeddings, needs_start=False):
        if needs_start and not self._ready:
            raise RuntimeError(
                'The mixture has not begun. Give init_samples embeddings to '
                'update(), or call initialise().'
            )
        is_tensor = isinstance(embeddings, torch.Tensor)
        if not is_tensor or not embeddings.is_floating_point():
            got = embeddings.dtype if is_tensor else type(embeddings).__name__
            raise TypeError(
                f'embeddings must be a tensor of floating point, not {got}.'
            )
        if embeddings.dim() != 2 or embeddings.shape[1] != self.dim:
            raise ValueError(
                'embeddings must have the shape (N, D) with D = dim = '
                f'{self.dim}, not {tuple(embeddings.shape)}.'
            )
        if not len(embeddings):
            raise ValueError('embeddings are empty: the shape is (0, D).')
        return embeddings.detach().to(self.means)

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._ready = bool(self.counts[1] > 0)

    def _apply(self, fn, recurse=True):
        """Moves between devices, but never to half precision."""

        def move(tensor):
            moved = fn(tensor)
            if moved.is_floating_point() and moved.element_size() < 4:
                return tensor.to(moved.device)
            return moved

        super()._apply(move, recurse)
        self.counts = self.counts.double()
        return self


def largest(joint, part, best):
    """Largest of some columns, and where among all, after those before."""
    value, place = joint.max(dim=1)
    place += part.start
    if best is None:
        return value, place
    place = torch.where(value > best[0], place, best[1])
    return torch.maximum(value, best[0]), place


def full_precision(device: torch.device) -> torch.autocast:
    """No autocast within."""
    return torch.autocast(device.type, enabled=False)
