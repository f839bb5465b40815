# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Mapping, Sequence

from .online_prototypes import OnlinePrototypes
from .prototype_sets import PrototypeSets

KINDS = ('kmeans', 'online_gmm')


def build_prototypes(
    kind: str,
    mixture: dict | None,
    num_clusters: Sequence[int],
    dim: int,
    temperature: float,
) -> PrototypeSets | OnlinePrototypes:
    """The prototypes of PCL and PAUC, as their config says.

    Args:
        kind (str): ``model.prototypes``.
        mixture (dict, optional): ``model.mixture``.
        num_clusters (Sequence[int]): K of each set.
        dim (int): D, dimension of the embedding.
        temperature (float): tau, to which the concentrations are scaled.

    Returns:
        PrototypeSets or OnlinePrototypes: Without prototypes yet.

    Raises:
        ValueError: An option is wrong; the message names the config key.
    """
    if kind not in KINDS:
        raise ValueError(
            f'model.prototypes must be one of {KINDS}, not {kind!r}.'
        )
    if kind == 'online_gmm':
        options = _checked_mixture(mixture)
        return OnlinePrototypes(num_clusters, dim, temperature, **options)
    if mixture is not None:
        raise ValueError(
            "model.mixture has options of model.prototypes='online_gmm', but "
            f'that is {kind!r}: remove the one or change the other.'
        )
    return PrototypeSets()


def _checked_mixture(mixture: dict | None) -> dict:
    if mixture is None:
        return {}
    if not isinstance(mixture, Mapping):
        raise ValueError(
            'model.mixture must be a dict of options of the mixtures, such as '
            f'dict(eta=0.99), not {mixture!r}.'
        )
    for option, key in (
        ('num_components', 'num_clusters'),
        ('num_clusters', 'num_clusters'),
        ('dim', 'feat_dim'),
        ('temperature', 'head.temperature'),
    ):
        if option in mixture:
            raise ValueError(
                f'model.mixture.{option} is model.{key}: set that instead.'
            )
    return dict(mixture)
