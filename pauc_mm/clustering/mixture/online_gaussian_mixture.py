# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size

from pauc_mm.clustering.deferred_flag import DeferredFlag
from pauc_mm.utils import share_buffers

from . import steps
from .diagonal_mixture import DiagonalMixture, full_precision
from .options import MixtureOptions
from .sample_collector import SampleCollector
from .start import STARTS, pooled_variance


class OnlineGaussianMixture(DiagonalMixture):
    """Mixture of Gaussians that learns from a stream of batches.

    Online EM with diagonal covariances on the embeddings of a teacher,
    without gradient. The means are the prototypes of *Why Prototypes
    Collapse* (ICLR 2026, docs/decoupled.md). An update is an E-step, an
    M-step on the batch, and a merge of the two into the statistics; see
    :mod:`~pauc_mm.clustering.mixture.steps`.

    **The first updates** collect embeddings of all ranks until there are
    ``init_samples``; with them the mixture begins, and from the next update
    on it learns. A checkpoint does not hold the collected embeddings.

    **Ranks.** The sums over a batch are all-reduced: batches may differ in
    length, and the state is that of one rank with the whole batch.

    **Numbers.** The state is float32 or float64, whatever ``autocast`` or
    ``half()`` say. In TF32 (``torch.backends.cuda.matmul.allow_tf32``) a
    log-density has an error of about 1e-3 of h^2 / Sigma.

    **Memory.** The state takes 8 K D bytes, 128 MiB at K = 65,536 and
    D = 256. An update adds ``scratch_mib``; a mixture that does not fit is
    passed twice in slices. The collected embeddings take 4 D bytes each, and
    as much again while the means are drawn (docs/performance.md).

    Args:
        num_components (int): K.
        dim (int): D.
        **options: Fields of
            :class:`~pauc_mm.clustering.mixture.options.MixtureOptions`.

    Attributes:
        means (Tensor): mu, shape (K, D), float32.
        mass (Tensor): Samples that a component remembers, shape (K,).
        frequency (Tensor): Recent share of the samples, shape (K,).
        seed (int): Seed of the draw; may be set until the mixture begins.
    """

    def __init__(self, num_components: int, dim: int, **options: Any) -> None:
        super().__init__(MixtureOptions(num_components, dim, **options))
        self.seed = self.options.seed
        self.init_samples = self.options.init_samples or 4 * num_components
        self._collector = SampleCollector(self.init_samples)
        self._flag = DeferredFlag()
        self._length: int | None = None

    @torch.compiler.disable
    @torch.no_grad()
    def update(self, embeddings: torch.Tensor) -> None:
        """Learn from a batch; a collective call.

        On a GPU it does not wait for the device, once the mixture has begun.

        Args:
            embeddings (Tensor): h of this rank, shape (N, D), N >= 1, any
                floating dtype; converted to that of the state.

        Raises:
            ValueError: If the shape is wrong, or an embedding of any rank is
                not finite. Such a batch is left out on all ranks. On a GPU
                the error comes from the next call, once it has begun.
            TypeError: If the dtype is not floating point.
        """
        with full_precision(self.means.device):
            embeddings = self._checked(embeddings)
            facts = self._facts(embeddings)
            if self._ready:
                self._learn(embeddings, *facts)
            else:
                self._refuse_not_finite()
                collected = self._collector.add(embeddings)
                if collected is not None:
                    self.initialise(collected)

    @torch.compiler.disable
    @torch.no_grad()
    def initialise(self, embeddings: torch.Tensor) -> None:
        """Begin, or begin again, from embeddings; a collective call.

        Args:
            embeddings (Tensor): The same on all ranks, shape (N, D), N >= K.

        Raises:
            ValueError: If fewer than K of them are different, or not finite.
        """
        with full_precision(self.means.device):
            embeddings = self._checked(embeddings)
            self._facts(embeddings)
            self._refuse_not_finite()
            k = self.num_components
            if len(embeddings) < k:
                raise ValueError(
                    f'num_components={k}, but only {len(embeddings)} samples '
                    'were seen at initialisation. Lower it or give more.'
                )
            rows = max(self._scratch() // (2 * k), 1)
            draw = STARTS[self.options.init]
            means, mass = draw(embeddings, k, self.seed, rows)
            variance = pooled_variance(embeddings, means, rows)
            self.means.copy_(means)
            self.scatter.copy_(variance.expand_as(means))
            self.frequency.copy_(mass / mass.sum())
            self.mass.copy_(mass.clamp(1, 1 / (1 - self.options.eta)))
            self.centre.copy_(embeddings.mean(dim=0))
            self.counts[0], self.counts[1] = 0, 1
            share_buffers(self)  # rounding on other devices draws others
            self._ready = True
            self._collector.clear()

    def _learn(self, embeddings, samples, wrong):
        """Take one step of EM; a wrong batch leaves the state as it is."""
        eta = self.options.eta
        statistics = self._statistics(embeddings)
        log_weights = self._log_weights()
        parts = self._parts(self._shared_length(len(embeddings)))
        joint, total = None, None
        for part in parts:
            joint = self._joint(statistics, log_weights, part)
            value = steps.log_sum_exp(joint)
            total = value if total is None else torch.logaddexp(total, value)
        fade = (math.log(eta) * (samples / self.num_components)).exp()
        for part in parts:
            if len(parts) > 1:
                joint = self._joint(statistics, log_weights, part)
            gamma = steps.exponential_(joint.sub_(total))
            sums = gamma.T @ statistics
            all_reduce(sums)
            received = sums[:, 0]
            mass, means, scatter, frequency = (
                getattr(self, name)[part]
                for name in ('mass', 'means', 'scatter', 'frequency')
            )
            new_mass, new_means, new_scatter = steps.merge(
                (mass, means - self.centre, scatter),
                sums,
                *steps.forgetting(received, eta),
            )
            share = torch.lerp(received / samples, frequency, fade)
            for old, new in (
                (mass, new_mass),
                (means, new_means.add_(self.centre)),
                (scatter, new_scatter),
                (frequency, share),
            ):
                old.copy_(torch.where(wrong, old, new))
        self.counts[0] += 1 - wrong.to(self.counts)
        if wrong.device.type == 'cpu':
            self._refuse_not_finite()

    def _shared_length(self, length: int) -> int:
        """Return the longest batch of all ranks, asked for once."""
        if get_world_size() == 1:  # several must cut into the same slices
            return length
        if self._length is None:
            longest = torch.tensor(length, device=self.means.device)
            all_reduce(longest, op='max')
            self._length = int(longest)
        return self._length

    def _facts(self, embeddings):
        """Return the samples of all ranks and whether any is not finite."""
        wrong = ~torch.isfinite(embeddings).all()
        size = torch.full_like(wrong, len(embeddings), dtype=embeddings.dtype)
        facts = torch.stack([size, wrong.to(size)])
        all_reduce(facts)
        if self._ready:  # of the batch before, on a GPU
            self._refuse_not_finite()
        self._flag.set(facts[1])
        return facts[0], facts[1] > 0

    def _refuse_not_finite(self) -> None:
        if self._flag.raised():
            raise ValueError(
                'embeddings of the mixture must be finite, but some are NaN '
                'or infinite (on this or another rank). The batch was left '
                'out. Look at the loss and the learning rate, or, in float16, '
                'at the loss scale.'
            )

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._collector.clear()
        self._length = None

    def extra_repr(self) -> str:
        """Return the options for ``print``."""
        return str(self.options)
