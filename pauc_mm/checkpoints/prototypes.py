# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Find the prototypes in a checkpoint."""

import re
from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor

from .file import State

_NAMES = re.compile(
    r'^(?:prototypes)?(\d+)\.weight|weight$|^mixture(?:s\.(\d+))?\.means$'
)


def read_prototypes(weights: State) -> State:
    """Read prototypes (K, D) that are rows of linear layers, or means.

    Args:
        weights (dict[str, Tensor]): State of the layer, of several
            (SwAV: 'prototypes0.weight'), of a weight-normalised one
            (DINO: magnitude g, (K, 1), and direction v, (K, D)), or of online
            mixtures ('mixture.means', 'mixtures.0.means'), which are left
            out until they have begun.
    """
    norm = 'parametrizations.weight.original'
    for g, v in (('weight_g', 'weight_v'), (norm + '0', norm + '1')):
        if g in weights and v in weights:
            direction = F.normalize(weights[v].float(), dim=1)
            rows = weights[g].float() * direction
            return _named_sets([('prototypes', rows)])
    return _named_sets(
        (_NAMES.sub(_title, key), value)
        for key, value in weights.items()
        if key.endswith(('weight', 'means')) and value.dim() == 2
        if _has_begun(weights, key)
    )


def read_centroids(content: dict) -> tuple[State, list[str]]:
    """Read the centroids that ClusteringHook keeps beside the weights.

    Returns:
        tuple[dict[str, Tensor], list[str]]: Name with K to centroids (K, D),
        float32; one sentence about their origin, or none.
    """
    clustering = content.get('clustering')
    if not isinstance(clustering, dict) or not clustering.get('centroids'):
        return {}, []
    epoch = clustering.get('epoch')
    made = '' if epoch is None else f', made for epoch {epoch + 1}'
    sets = _named_sets(
        (f'clustering {m}', centroids)
        for m, centroids in enumerate(clustering['centroids'])
    )
    return sets, [
        "The prototypes are centroids of the momentum encoder's "
        f'embeddings{made}.'
    ]


def _has_begun(weights: State, key: str) -> bool:
    counts = weights.get(key.removesuffix('means') + 'counts')
    return counts is None or bool(counts[1] > 0)


def _title(match: re.Match) -> str:
    return f'prototypes {match[1] or match[2] or ""}'.rstrip()


def _named_sets(sets: Iterable[tuple[str, Tensor]]) -> State:
    """Copy prototype sets to float32, with K in their names."""
    return {
        f'{name} (K={len(rows)})': rows.detach().float().clone()
        for name, rows in sets
    }
