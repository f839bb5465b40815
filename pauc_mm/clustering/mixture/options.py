# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass

from pauc_mm.utils.checks import check_choice, check_integer, check_positive

from .start import STARTS


@dataclass(frozen=True)
class MixtureOptions:
    """Options of an online Gaussian mixture.

    Attributes:
        num_components (int): K.
        dim (int): D.
        eta (float): Forgetting factor for a whole unit of responsibility, in
            (0, 1): a component remembers its last 1 / (1 - eta) samples.
        start_temperature (float): T of the first update, >= 1; the joint
            density is taken to the power b = 1 / T. Where it is so high that
            components share their samples, their means join for good.
        annealing_steps (int): Updates in which T falls to 1, geometrically.
        min_variance (float): Floor of the variances in each dimension; 1e-4
            is a deviation of 0.01.
        init (str): 'kmeans': the best of five runs of greedy k-means++ and
            ten iterations on the collected embeddings, in about 170 K M D
            multiplications for M of them; EM does not repair means that
            begin in one cluster and leave others without. 'random': K of the
            embeddings, for a K at which k-means takes too long.
            'directions': uniform directions, as long as the embeddings are
            and with variances as large as their distance, for prototypes
            that an encoder is to spread over.
        init_samples (int, optional): M, embeddings to collect, at least K;
            None is 4 K. With few components more are better.
        seed (int): Seed of the draw.
        scratch_mib (int): Bound of the temporary memory.
    """

    num_components: int
    dim: int
    eta: float = 0.99
    start_temperature: float = 1.0
    annealing_steps: int = 0
    min_variance: float = 1e-4
    init: str = 'kmeans'
    init_samples: int | None = None
    seed: int = 0
    scratch_mib: int = 256

    def __post_init__(self) -> None:
        for name, least in (
            ('num_components', 1),
            ('dim', 1),
            ('annealing_steps', 0),
            ('seed', 0),
            ('scratch_mib', 1),
        ):
            check_integer(name, getattr(self, name), least)
        for name in ('eta', 'start_temperature', 'min_variance'):
            check_positive(name, getattr(self, name))
        if self.eta >= 1:
            raise ValueError(f'eta must be in (0, 1), got {self.eta!r}.')
        if self.start_temperature < 1:
            given = self.start_temperature
            raise ValueError(f'start_temperature must be >= 1, got {given!r}.')
        check_choice('init', self.init, tuple(STARTS))
        if self.init_samples is not None:
            check_integer(
                'init_samples',
                self.init_samples,
                self.num_components,
                'Every component begins as one of them.',
            )
