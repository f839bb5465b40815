# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The weights in a checkpoint, under names that layouts can be told by."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

_WRAPPERS = re.compile(r'^(?:module\.|_orig_mod\.)+')
_CHILDREN = dict(
    zip('014567', ('conv1', 'bn1', 'layer1', 'layer2', 'layer3', 'layer4'))
)


def find_state(
    checkpoint: dict, path: str
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Find the weights in a checkpoint.

    Args:
        checkpoint (dict): Its top level.
        path (str): File, for messages.

    Returns:
        tuple[dict[str, Tensor], list[str]]: The weights, without the
        prefixes of DistributedDataParallel and torch.compile; a student and
        a teacher, as DINO saves them, both under these prefixes. And notes
        for the user.

    Raises:
        ValueError: If there are none.
    """
    notes: list[str] = []
    groups = {'': _tensors(checkpoint)}
    groups.update((str(k), _tensors(v)) for k, v in checkpoint.items())
    if groups.get('student') and groups.get('teacher'):
        state = {
            f'{net}.{_WRAPPERS.sub("", key)}': value
            for net in ('student', 'teacher')
            for key, value in groups[net].items()
        }
        return state, notes
    name = 'state_dict'
    if not groups.get(name):
        name = max(groups, key=lambda group: len(groups[group]))
        if name:
            notes.append(f"The weights are those under '{name}'.")
    if not groups[name]:
        keys = ', '.join(repr(key) for key in list(checkpoint)[:6]) or 'none'
        raise ValueError(
            f"'{path}' is a dict without weights; its keys: {keys}. Name a "
            'checkpoint that holds a state_dict.'
        )
    state = {_WRAPPERS.sub('', k): v for k, v in groups[name].items()}
    return _named_children(state, notes), notes


def _tensors(value: Any) -> dict[str, torch.Tensor]:
    if isinstance(value, nn.Module):  # only in a trusted file
        value = value.state_dict()
    if not isinstance(value, dict):
        return {}
    return {
        key: item
        for key, item in value.items()
        if isinstance(key, str) and isinstance(item, torch.Tensor)
    }


def _named_children(
    state: dict[str, torch.Tensor], notes: list[str]
) -> dict[str, torch.Tensor]:
    """Name the layers of ``Sequential(*resnet.children())`` again."""
    prefixes = tuple(
        key[: -len('4.0.conv1.weight')]
        for key in state
        if re.search(r'(?:^|\.)4\.0\.conv1\.weight$', key)
    )
    if not prefixes:
        return state
    notes.append(
        'The numbered layers 0, 1 and 4 to 7 were taken for conv1, bn1 and '
        'layer1 to layer4 of a ResNet.'
    )
    renamed = {}
    for key, value in state.items():
        for prefix in prefixes:
            match = re.match(r'([014567])\.', key[len(prefix) :])
            if key.startswith(prefix) and match:
                rest = key[len(prefix) + 2 :]
                key = f'{prefix}{_CHILDREN[match[1]]}.{rest}'
                break
        renamed[key] = value
    return renamed


def sequential_neck(
    weights: dict[str, torch.Tensor],
) -> dict[str, torch.Tensor]:
    """Number the layers of a neck of mmpretrain as in a ``Sequential``.

    For LinearNeck (fc-norm), NonLinearNeck (fc-bn-relu repeated), MoCoV2Neck
    and SwAVNeck (fc-bn-relu-fc).

    Args:
        weights (dict[str, Tensor]): State of the neck.

    Returns:
        dict[str, Tensor]: Names for
        :class:`~pauc_mm.checkpoints.projection_head.ProjectionHead`; those
        that are unknown are left as they are.
    """
    swav = any(key.startswith('projection_neck.') for key in weights)
    result = {}
    for key, value in weights.items():
        if swav and key.startswith('norm.'):
            continue  # the same layer as projection_neck.1
        name, _, parameter = key.rpartition('.')
        repeated = re.fullmatch(r'(fc|bn)(\d+)', name)
        inner = re.fullmatch(r'(?:mlp|projection_neck)\.(\d+)', name)
        if repeated:
            name = str(3 * int(repeated[2]) + (repeated[1] == 'bn'))
        elif inner:
            name = inner[1]
        elif name in ('fc', 'projection_neck', 'norm'):
            name = str(int(name == 'norm'))
        result[f'{name}.{parameter}'] = value
    return result


_PROTOTYPES = re.compile(
    r'^prototypes(\d+)\.weight|weight$|^mixture(?:s\.(\d+))?\.means$'
)


def read_prototypes(
    weights: dict[str, torch.Tensor],
) -> dict[str, torch.Tensor]:
    """Prototypes that are rows of bias-free linear layers, or means.

    Args:
        weights (dict[str, Tensor]): State of the layer, of several
            (SwAV: 'prototypes0.weight'), of a weight-normalised one
            (DINO: magnitude g, (K, 1), and direction v, (K, D)), or of online
            mixtures ('mixture.means', 'mixtures.0.means'), which are left
            out until they have begun.

    Returns:
        dict[str, Tensor]: Name with K to prototypes (K, D), float32.
    """
    norm = 'parametrizations.weight.original'
    for g, v in (('weight_g', 'weight_v'), (norm + '0', norm + '1')):
        if g in weights and v in weights:
            direction = F.normalize(weights[v].float(), dim=1)
            rows = weights[g].float() * direction
            return named_sets([('prototypes', rows)])
    return named_sets(
        (_PROTOTYPES.sub(_title, key), value)
        for key, value in weights.items()
        if key.endswith(('weight', 'means')) and value.dim() == 2
        if _has_begun(weights, key)
    )


def _has_begun(weights: dict[str, torch.Tensor], key: str) -> bool:
    counts = weights.get(key.removesuffix('means') + 'counts')
    return counts is None or bool(counts[1] > 0)


def _title(match: re.Match) -> str:
    return f'prototypes {match[1] or match[2] or ""}'.rstrip()


def named_sets(
    sets: Iterable[tuple[str, torch.Tensor]],
) -> dict[str, torch.Tensor]:
    """Prototype sets with their K in the name, as float32 copies."""
    return {
        f'{name} (K={len(rows)})': rows.detach().float().clone()
        for name, rows in sets
    }


def find_prototypes(
    checkpoint: dict, weights: dict[str, torch.Tensor], notes: list[str]
) -> dict[str, torch.Tensor]:
    """The prototypes that a network has as weights, or an E-step made.

    Args:
        checkpoint (dict): Top level of the checkpoint.
        weights (dict[str, Tensor]): See :func:`read_prototypes`.
        notes (list[str]): Told where centroids come from.

    Returns:
        dict[str, Tensor]: Name with K to prototypes (K, D), float32.
    """
    prototypes = read_prototypes(weights)
    clustering = checkpoint.get('clustering')
    if isinstance(clustering, dict) and clustering.get('centroids'):
        prototypes.update(
            named_sets(
                (f'clustering {m}', centroids)
                for m, centroids in enumerate(clustering['centroids'])
            )
        )
        epoch = clustering.get('epoch')
        made = '' if epoch is None else f', made for epoch {epoch + 1}'
        notes.append(
            "The prototypes are centroids of the momentum encoder's "
            f'embeddings{made}.'
        )
    return prototypes


def trained_epochs(checkpoint: dict) -> int | None:
    """How many epochs a network was trained, if its checkpoint says so.

    Args:
        checkpoint (dict): Top level of the checkpoint.

    Returns:
        int or None: mmengine notes it in 'meta', others at the top.
    """
    meta = checkpoint.get('meta')
    for source in (meta if isinstance(meta, dict) else {}, checkpoint):
        if isinstance(source.get('epoch'), int):
            return source['epoch']
    return None
