# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import torch
from mmengine.dist import all_reduce, get_world_size

from pauc_mm.clustering.deferred_flag import DeferredFlag
from pauc_mm.utils import share_buffers

from . import start as mixture_start
from . import steps as mixture_steps
from .diagonal_mixture import DiagonalMixture, full_precision, largest
from .options import check_options
from .sample_collector import SampleCollector


class OnlineGaussianMixture(DiagonalMixture):
    """A mixture of Gaussians that learns from a stream of batches.

    Online EM with diagonal covariances on the embeddings of a teacher. The
    means are the prototypes of *Why Prototypes Collapse* (ICLR 2026,
    docs/decoupled.md). Nothing here is a parameter and nothing carries a
    gradient. An update is an E-step, an M-step on the batch, and a merge of
    the two into the statistics, component by component; see
    :mod:`~pauc_mm.clustering.mixture.steps`. A batch of one embedding is an
    update like any other.

    **The first updates** collect embeddings of all ranks until there are
    ``init_samples``; with them the mixture begins, and from the next update
    on it learns. A checkpoint in between does not hold what was collected:
    after resuming, it is collected anew.

    **Ranks.** The sums over a batch are all-reduced, so :meth:`update` is a
    collective call, batches may differ in length, and the state is the same
    on all ranks and the same as that of one rank with the whole batch.

    **Numbers.** The state is float32 or float64, whatever ``autocast`` or
    ``half()`` say. ``torch.backends.cuda.matmul.allow_tf32`` holds here too:
    in TF32 a log-density has an error of about 1e-3 of h^2 / Sigma. The
    counts are float64, of which mmengine's SyncBuffersHook makes an exact
    average.

    **Memory.** The state takes 8 K D bytes, 128 MiB at K = 65,536 and
    D = 256. An update adds a matrix of N x K', with K' of the K components
    at a time such that ``scratch_mib`` hold all that is temporary; a mixture
    that fits as a whole is passed once, others twice, for the normalisation
    needs all components. At K = 65,536, D = 256 and N = 1024 that is, by
    count, 128 MiB of state and 256 MiB of scratch; a process on a CPU grows
    by 376 MiB for the latter (docs/performance.md). Until the beginning, the
    collected embeddings take 4 D bytes each, 256 MiB in the same case, and
    as much again while the means are drawn from them.

    Args:
        num_components (int): K.
        dim (int): D.
        eta (float): Forgetting factor for a whole unit of responsibility, in
            (0, 1): a component remembers about 1 / (1 - eta) samples of its
            own. Defaults to 0.99.
        forgetting (str): 'responsibility', by what a component receives, or
            'uniform', by time, which loses rare components and is here for
            comparison. Defaults to 'responsibility'.
        weights (str): What pi is. 'mass': the shares of what the components
            remember, so it follows from the same statistics as the rest.
            Since none remembers more than 1 / (1 - eta) samples, those that
            have been seen often have equal weights. 'frequency': the shares
            of the samples of late, remembered for K / (1 - eta) samples of
            the stream, which is the maximum likelihood of a mixture with
            unequal components, and disfavours rare ones. Defaults to 'mass'.
        start_temperature (float): T of the first update, >= 1; the joint
            density is taken to the power b = 1 / T. Where it is so high that
            components share their samples, their means join, and not all
            part again as it falls. Defaults to 1.
        annealing_steps (int): Updates in which T falls to 1, geometrically.
            Defaults to 0: T = 1 from the first.
        min_variance (float): Floor of the variances in each dimension.
            Defaults to 1e-4, a deviation of 0.01, for embeddings of length 1.
        init (str): 'kmeans': the best of five runs of greedy k-means++ and
            ten iterations on the collected embeddings, in a time of about
            170 K M D multiplications for M of them; 'random': K of them as
            they are, for a K at which that is too long. Of means drawn at
            random several begin in one cluster and others have none, and EM
            does not repair that. 'directions': not where embeddings are, but
            in directions drawn uniformly, as long as they are and with
            variances as large as they are far; for prototypes that an encoder
            is to spread over. Defaults to 'kmeans'.
        init_samples (int, optional): M, embeddings to collect, at least K.
            Defaults to 4 K; with few components more are better.
        seed (int): Of the draw. Defaults to 0.
        scratch_mib (int): Bound of the temporary memory. Defaults to 256.

    Attributes:
        means (Tensor): mu, shape (K, D), float32.
        mass (Tensor): Samples that a component remembers, shape (K,).
        frequency (Tensor): Share of late of the samples, shape (K,).

    Raises:
        ValueError: An argument is out of its range; the message names it.
    """

    def __init__(
        self,
        num_components: int,
        dim: int,
        eta: float = 0.99,
        forgetting: str = 'responsibility',
        weights: str = 'mass',
        start_temperature: float = 1.0,
        annealing_steps: int = 0,
        min_variance: float = 1e-4,
        init: str = 'kmeans',
        init_samples: int | None = None,
        seed: int = 0,
        scratch_mib: int = 256,
    ) -> None:
        check_options(locals())
        if init_samples is None:
            init_samples = 4 * num_components
        super().__init__(
            num_components,
            dim,
            weights,
            start_temperature,
            annealing_steps,
            min_variance,
            scratch_mib,
        )
        self.eta, self.forgetting = eta, forgetting
        self.init, self.seed = init, seed
        self.init_samples = init_samples
        self._collector = SampleCollector(init_samples)
        self._flag = DeferredFlag()
        self._length: int | None = None

    @torch.compiler.disable
    @torch.no_grad()
    def update(self, embeddings: torch.Tensor) -> None:
        """Learn from a batch; a collective call.

        On a GPU it does not wait for the device, once the mixture has begun.

        Args:
            embeddings (Tensor): h of this rank, shape (N, D), N >= 1, any
                floating dtype; computed on in that of the state.

        Raises:
            ValueError: The shape is wrong, or an embedding of any rank is
                not finite. Such a batch is left out on all ranks. The error
                comes from this call on a CPU and while the mixture has not
                begun, from the next one on a GPU.
            TypeError: Not a tensor of floating point.
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
    def assign_and_update(self, embeddings: torch.Tensor) -> torch.Tensor:
        """:meth:`assign` and then :meth:`update`, with one E-step for both.

        Args:
            embeddings (Tensor): h of this rank, shape (N, D), N >= 1, any
                floating dtype.

        Returns:
            Tensor: The component of the largest responsibility in the state
            before the update, shape (N,), int64.

        Raises:
            RuntimeError: The mixture has not begun.
            ValueError: As :meth:`update`.
            TypeError: Not a tensor of floating point.
        """
        with full_precision(self.means.device):
            embeddings = self._checked(embeddings, True)
            return self._learn(embeddings, *self._facts(embeddings), True)

    @torch.compiler.disable
    @torch.no_grad()
    def initialise(self, embeddings: torch.Tensor) -> None:
        """Begin, or begin again, from embeddings; a collective call.

        Args:
            embeddings (Tensor): The same on all ranks, shape (N, D), N >= K.

        Raises:
            ValueError: They are fewer than K, not finite, of a wrong shape,
                or fewer than K of them are different.
            TypeError: Not a tensor of floating point.
        """
        with full_precision(self.means.device):
            embeddings = self._checked(embeddings)
            self._facts(embeddings)
            self._refuse_not_finite()
            if len(embeddings) < self.num_components:
                raise ValueError(
                    f'num_components={self.num_components}, but only '
                    f'{len(embeddings)} samples were seen at initialisation. '
                    'Lower num_components or give more.'
                )
            k, rows = self.num_components, self._rows(self.num_components)
            if self.init == 'kmeans':
                means, mass = mixture_start.best_kmeans(
                    embeddings, k, self.seed, rows
                )
            else:
                draw = mixture_start.DRAWS[self.init]
                means = draw(embeddings, k, self.seed)
                mass = torch.ones_like(self.mass)
            variance = mixture_start.pooled_variance(embeddings, means, rows)
            self.means.copy_(means)
            self.scatter.copy_(variance.expand_as(means))
            self.frequency.copy_(mass / mass.sum())
            self.mass.copy_(mass.clamp(1, 1 / (1 - self.eta)))
            self.centre.copy_(embeddings.mean(dim=0))
            self.counts[0], self.counts[1] = 0, 1
            share_buffers(self)  # rounding on other devices draws others
            self._ready = True
            self._collector.clear()

    def _learn(self, embeddings, samples, wrong, assigning=False):
        """One step of EM; the state stays as it is if the batch is wrong."""
        statistics = self._statistics(embeddings)
        log_weights = self._log_weights()
        parts = self._parts(self._shared_length(len(embeddings)))
        joint, total, best = None, None, None
        for part in parts:
            joint = self._joint(statistics, log_weights, part)
            if assigning:
                best = largest(joint, part, best)
            value = mixture_steps.log_sum_exp(joint)
            total = value if total is None else torch.logaddexp(total, value)
        mean_received = samples / self.num_components
        fade = (math.log(self.eta) * mean_received).exp()
        for part in parts:
            if len(parts) > 1:
                joint = self._joint(statistics, log_weights, part)
            gamma = mixture_steps.exponential_(joint.sub_(total))
            sums = gamma.T @ statistics
            all_reduce(sums)
            received = sums[:, 0]
            keep, weight = mixture_steps.forgetting(
                received, self.eta, mean_received, self.forgetting
            )
            state = self.mass[part], self.means[part], self.scatter[part]
            centred = state[0], state[1] - self.centre, state[2]
            mass, means, scatter = mixture_steps.merge(
                centred, sums, keep, weight
            )
            share = torch.lerp(received / samples, self.frequency[part], fade)
            state = (*state, self.frequency[part])
            new = mass, means.add_(self.centre), scatter, share
            for old, value in zip(state, new):
                old.copy_(torch.where(wrong, old, value))
        self.counts[0] += 1 - wrong.to(self.counts)
        if wrong.device.type == 'cpu':
            self._refuse_not_finite()
        return best[1] if assigning else None

    def _shared_length(self, length: int) -> int:
        """The longest batch of all ranks, looked at once.

        The components are cut into pieces that are all-reduced one by one,
        so every rank must cut alike, whatever the length of its batch.
        """
        if get_world_size() == 1:
            return length
        if self._length is None:
            longest = torch.tensor(length, device=self.means.device)
            all_reduce(longest, op='max')
            self._length = int(longest)
        return self._length

    def _facts(self, embeddings):
        """Samples of all ranks, and whether any is not finite."""
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

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._collector.clear()
        self._length = None

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return (
            f'num_components={self.num_components}, dim={self.dim}, '
            f'eta={self.eta}, forgetting={self.forgetting!r}, '
            f'weights={self.weighting!r}, init={self.init!r}'
        )
