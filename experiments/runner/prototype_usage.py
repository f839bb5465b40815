# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pauc_mm.evaluation.functional import unique_prototypes
from pauc_mm.evaluation.functional.checks import as_matrix

_CHUNK = 4096


def prototype_usage(
    prototypes: Tensor, embeddings: Tensor, epsilons: Sequence[float]
) -> dict:
    """Measure which prototypes are used, and how many of them are copies.

    A prototype is in use if it is the nearest one, by cosine, of at least one
    image. Rounding decides between coinciding prototypes, so ``used`` alone
    does not show a collapse: ``unique_used`` does.

    Args:
        prototypes (Tensor): Shape (K, D), of any norm but zero.
        embeddings (Tensor): Embeddings of images, shape (N, D). Those of norm
            zero have no nearest prototype and are left out.
        epsilons (sequence of float): See :func:`unique_prototypes`.

    Returns:
        dict: ``prototypes`` (K) and ``images`` that were counted; ``unique``,
        the share of all prototypes that is unique, a list in the order of
        ``epsilons``; ``used`` and ``used_share``; ``unique_used``, the same
        shares of those in use; ``perplexity``, e to the entropy of the
        images' shares: K if all are used alike, 1 if one is.

    Raises:
        ValueError: If a value is not finite, a prototype is zero, all
            embeddings are zero, or the dimensions differ.
    """
    prototypes = as_matrix(prototypes, 'prototypes').float().cpu()
    embeddings = as_matrix(embeddings).float().cpu()
    embeddings = embeddings[torch.linalg.vector_norm(embeddings, dim=1) > 0]
    if not len(embeddings):
        raise ValueError(
            'All embeddings are zero: the units of the network are dead. '
            'Lower the learning rate.'
        )
    if prototypes.shape[1] != embeddings.shape[1]:
        raise ValueError(
            'Prototypes and embeddings must have the same dimensions, got '
            f'{prototypes.shape[1]} and {embeddings.shape[1]}.'
        )
    unique = unique_prototypes(prototypes, epsilons)  # refuses zeros
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
