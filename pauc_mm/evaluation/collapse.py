# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Cheap measures of collapse, for a model in training."""

import numpy as np
import torch
import torch.nn.functional as F
from mmpretrain.models import SwAV
from mmpretrain.utils import get_ori_model
from torch import Tensor, nn

from pauc_mm.models.prototypes import PrototypeSet

from .functional import (
    cluster_entropy,
    effective_rank,
    intra_group_variance,
    koleo,
    nesum,
    rankme,
    uniformity,
    unique_prototypes,
)
from .functional.checks import as_matrix

EMBEDDING_MEASURES = (
    *('uniformity', 'effective_rank', 'feature_effective_rank'),
    *('rankme', 'nesum'),
)
# Each once for every set of prototypes, as NAME_0, NAME_1 ...
PROTOTYPE_MEASURES = (
    *('unique_share', 'koleo', 'cluster_entropy', 'intra_variance'),
)
MEASURES = EMBEDDING_MEASURES + PROTOTYPE_MEASURES

_EPSILON = 0.025
_MAX_PROTOTYPES = 5000


def has_prototypes(model: nn.Module) -> bool:
    """Whether a model has prototypes, or will have after an E-step."""
    model = get_ori_model(model)
    known = callable(getattr(model, 'prototype_sets', None))
    return known or isinstance(model, SwAV)


def prototype_sets(model: nn.Module) -> list[PrototypeSet]:
    """Return the prototypes of a model: what its ``prototype_sets()`` gives.

    mmpretrain's SwAV, which has no such method, is known too. The list is
    empty if there are none, or none yet.
    """
    model = get_ori_model(model)
    if isinstance(model, SwAV):
        layers = model.head.loss_module.prototypes.modules()
        weights = [m.weight for m in layers if isinstance(m, nn.Linear)]
        return [PrototypeSet(weight.detach()) for weight in weights]
    get = getattr(model, 'prototype_sets', None)
    return get() if callable(get) else []


def evenly(number: int, most: int) -> np.ndarray:
    """Return at most ``most`` indices below ``number``, evenly spaced."""
    return np.linspace(0, number - 1, min(number, most)).round().astype(int)


def measure_collapse(
    features: Tensor,
    embeddings: Tensor,
    sets: list[PrototypeSet],
    rows: np.ndarray,
) -> dict[str, float]:
    """Measure a sample of the training images, and the prototypes.

    The measures are those of :mod:`pauc_mm.evaluation.functional`. Images
    with an embedding of zero are left out; ``zero_share`` is their share, if
    there are any. The unique share is at 0.025; it and KoLeo are among at
    most 5000 evenly spaced prototypes. The entropy of cluster sizes is over
    all training images where the model stores assignments, else over the
    sample by nearest prototype. The variance is over prototypes with at least
    two images of the sample: with n images each it is about 1 - 1/n of the
    variance of many, so compare it only for the same K and number.

    Args:
        features (Tensor): Shape (n, C), of the backbone.
        embeddings (Tensor): Shape (n, D), l2-normalised.
        sets (list[PrototypeSet]): The M sets of prototypes.
        rows (np.ndarray): Index of each image in the training set, (n,).

    Returns:
        dict[str, float]: ``uniformity``, ``effective_rank``,
        ``feature_effective_rank``, ``rankme``, ``nesum``, and for each m
        ``unique_share_m``, ``koleo_m``, ``cluster_entropy_m`` and
        ``intra_variance_m``.

    Raises:
        ValueError: If vectors are not finite, or fewer than two embeddings
            are not zero.
    """
    as_matrix(embeddings)
    directed = torch.linalg.vector_norm(embeddings, dim=1) > 0
    values = {}
    if not directed.all():
        if directed.sum() < 2:
            raise ValueError(
                f'{int((~directed).sum())} of {len(embeddings)} embeddings '
                'are zero: the network maps everything to nothing (dead '
                'units). Lower the learning rate.'
            )
        values['zero_share'] = 1 - directed.double().mean().item()
        embeddings, features = embeddings[directed], features[directed]
        rows = rows[directed.numpy()]
    values.update(
        uniformity=uniformity(embeddings),
        effective_rank=effective_rank(embeddings),
        feature_effective_rank=effective_rank(features),
        rankme=rankme(embeddings),
        nesum=nesum(embeddings),
    )
    for m, prototypes in enumerate(sets):
        vectors = prototypes.vectors.float().cpu()
        chosen = vectors[evenly(len(vectors), _MAX_PROTOTYPES)]
        shares = unique_prototypes(chosen, (_EPSILON,))
        values[f'unique_share_{m}'] = shares[_EPSILON]
        if len(chosen) > 1:
            values[f'koleo_{m}'] = koleo(chosen, 'prototypes')
        if prototypes.assignments is None:
            groups = (embeddings @ F.normalize(vectors, dim=1).T).argmax(dim=1)
            everyone = groups
        else:
            everyone = prototypes.assignments.cpu()
            groups = everyone[torch.from_numpy(rows)]
        sizes = torch.bincount(everyone, minlength=len(vectors))
        values[f'cluster_entropy_{m}'] = cluster_entropy(sizes)
        # A lone image has no variance, and would look like a collapse.
        lonely = torch.bincount(groups, minlength=len(vectors))[groups] < 2
        if not lonely.all():
            groups = groups.masked_fill(lonely, -1)
            values[f'intra_variance_{m}'] = intra_group_variance(
                embeddings, groups
            )
    return values
