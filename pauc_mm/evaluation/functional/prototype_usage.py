# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Which prototypes are used, and how many of them are copies."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from . import unique_prototypes
from .checks import as_matrix

_CHUNK = 4096


def prototype_usage(
    prototypes: Tensor, embeddings: Tensor, epsilons: Sequence[float]
) -> dict:
    """Measure the prototypes of a set, all and those in use.

    A prototype is in use if it is the nearest one, by cosine, of at least one
    image. Of prototypes that coincide, rounding decides which that is, so
    that ``used`` alone does not show a collapse: ``unique_used`` does.

    Args:
        prototypes (Tensor): Shape (K, D), of any norm but zero.
        embeddings (Tensor): Of the images, shape (N, D). Those of norm zero
            have no nearest prototype and are left out.
        epsilons (sequence of float): Cosine distances for
            :func:`~pauc_mm.evaluation.functional.unique_prototypes`.

    Returns:
        dict: Plain data: ``prototypes`` (K) and ``images`` that were counted;
        ``unique``, the share of all prototypes that is unique, a list in the
        order of ``epsilons``; ``used`` and ``used_share``; ``unique_used``,
        the same shares of those in use; ``perplexity``, e to the entropy of
        the shares of the images: K if all are used alike, 1 if one is.

    Raises:
        ValueError: If something is not finite or a prototype is zero, shapes
            differ, or all embeddings are zero.
    """
    prototypes = as_matrix(prototypes, 'prototypes').float().cpu()
    embeddings = as_matrix(embeddings).float().cpu()
    embeddings = embeddings[torch.linalg.vector_norm(embeddings, dim=1) > 0]
    if not len(embeddings):
        raise ValueError(
            'All embeddings are zero: the network maps everything to nothing '
            '(dead units). Lower the learning rate.'
        )
    if prototypes.shape[1] != embeddings.shape[1]:
        raise ValueError(
            f'Prototypes have {prototypes.shape[1]} dimensions, embeddings '
            f'{embeddings.shape[1]}: they must live in one space.'
        )
    # Checks for zero, too: before the cosines.
    unique = unique_prototypes(prototypes, epsilons)
    directions = F.normalize(prototypes, dim=1)
    nearest = torch.cat(
        [
            (F.normalize(rows, dim=1) @ directions.T).argmax(dim=1)
            for rows in embeddings.split(_CHUNK)
        ]
    )
    sizes = torch.bincount(nearest, minlength=len(prototypes)).double()
    in_use = sizes > 0
    shares = sizes / sizes.sum()
    unique_used = unique_prototypes(prototypes[in_use], epsilons)
    used = int(in_use.sum())
    return dict(
        prototypes=len(prototypes),
        images=len(embeddings),
        unique=[unique[epsilon] for epsilon in epsilons],
        used=used,
        used_share=used / len(prototypes),
        unique_used=[unique_used[epsilon] for epsilon in epsilons],
        perplexity=torch.special.entr(shares).sum().exp().item(),
    )
