# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Find the prototypes in a checkpoint."""

import re
from collections.abc import Iterable
from functools import partial

import torch.nn.functional as F
from torch import Tensor

from pauc_mm.utils.checks import listed

from .file import State
from .weights import check_finite

_NAMES = re.compile(
    r'^\.?(?:prototypes)?(\d+)\.weight|^\.?weight$|weight$|^$|'
    r'^mixture(?:s\.(\d+))?\.means$'
)
_MAGNITUDES = ('weight_g', 'parametrizations.weight.original0')
_DIRECTIONS = ('weight_v', 'parametrizations.weight.original1')


def read_prototypes(weights: State, title: str = 'prototypes') -> State:
    """Read prototypes (K, D) that are rows of linear layers, or means.

    ``weights`` are the state of the layer, of several (SwAV:
    'prototypes0.weight'), of a weight-normalised one (DINO: magnitude g,
    (K, 1), and direction v, (K, D)), or of online mixtures ('mixture.means',
    'mixtures.0.means'), which are left out until they have begun. A tensor
    named '' is a matrix alone. ``title`` names the sets.

    Raises:
        ValueError: If one of magnitude and direction is missing.
    """
    for g, v in zip(_MAGNITUDES, _DIRECTIONS):
        if (g in weights) != (v in weights):
            raise ValueError(
                f'has {g if g in weights else v} of its last layer without '
                f'{v if g in weights else g}: a prototype is g v / |v|'
            )
        if g in weights:
            direction = F.normalize(weights[v].float(), dim=1)
            rows = weights[g].float() * direction
            return _named_sets([(title, rows)])
    return _named_sets(
        (_NAMES.sub(partial(_title, title), key), value)
        for key, value in weights.items()
        if (not key or key.endswith(('weight', 'means'))) and value.dim() == 2
        if _has_begun(weights, key)
    )


def check_prototypes(sets: State, width: int | None, path: str) -> None:
    """Refuse prototypes that have no direction, or are not of an embedding.

    ``width`` is D of the head's embeddings, if it is known.

    Raises:
        ValueError: If some are not finite or zero, or D is another; names
            the set, the first index and the file ``path``.
    """
    check_finite(sets, path)
    for name, rows in sets.items():
        zero = (rows == 0).all(1).nonzero().flatten().tolist()
        if zero:
            raise ValueError(
                f"'{path}' has {len(zero)} zero vectors among its {name}, at "
                f'{listed(map(str, zero), 3)}: they have no direction. Take '
                'a checkpoint that is whole.'
            )
        if width is not None and rows.shape[1] != width:
            k, d = rows.shape
            cause = (
                f'they are stored as D x K, transposed: save {d} x {k}'
                if k == width
                else 'they belong to another head, or layers are missing'
            )
            raise ValueError(
                f"'{path}' has {name} of shape {k} x {d}, but its head gives "
                f'embeddings of D = {width}: {cause}.'
            )


def read_centroids(content: dict) -> tuple[State, list[str]]:
    """Read the centroids that ClusteringHook keeps beside the weights.

    By name with K, (K, D), float32; and one sentence on their origin, or none.
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


def _title(title: str, match: re.Match) -> str:
    return f'{title} {match[1] or match[2] or ""}'.rstrip()


def _named_sets(sets: Iterable[tuple[str, Tensor]]) -> State:
    """Copy prototype sets to float32, with K in their names."""
    return {
        f'{name} (K={len(rows)})': rows.detach().float().clone()
        for name, rows in sets
    }
