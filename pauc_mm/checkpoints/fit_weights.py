# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch
from torch import nn


def load_weights(
    module: nn.Module,
    weights: dict[str, torch.Tensor],
    what: str,
    least: float,
    notes: list[str],
) -> None:
    """Load weights, and refuse where too few fit.

    The counters of BatchNorm, which old checkpoints lack, do not count.

    Args:
        module (nn.Module): Loaded in place.
        weights (dict[str, Tensor]): Its state.
        what (str): What it is, for messages.
        least (float): Least share of its tensors, in (0, 1].
        notes (list[str]): Told what did not fit.

    Raises:
        ValueError: If fewer fit; names some that do not.
    """
    own = {
        key: value.shape
        for key, value in module.state_dict().items()
        if not key.endswith('num_batches_tracked')
    }
    missing = [key for key in own if key not in weights]
    changed = [
        f'{key} ({tuple(weights[key].shape)}, not {tuple(own[key])})'
        for key in own
        if key in weights and weights[key].shape != own[key]
    ]
    unknown = [
        key
        for key in weights
        if key not in own and not key.endswith('num_batches_tracked')
    ]
    lists = '; '.join(
        f'{len(keys)} {name}: {", ".join(keys[:3])}'
        + (', ...' if len(keys) > 3 else '')
        for name, keys in (
            ('missing', missing),
            ('of another shape', changed),
            ('unknown', unknown),
        )
        if keys
    )
    loaded = len(own) - len(missing) - len(changed)
    if not own or loaded < least * len(own):
        raise ValueError(
            f'Only {loaded} of the {len(own)} tensors of the {what} fit, and '
            f'{least:.0%} must: {lists}. Name the config that wrote the '
            'checkpoint with --config.'
        )
    if lists:
        rest = '' if loaded == len(own) else ' What is not loaded is random.'
        notes.append(
            f'{loaded} of the {len(own)} tensors of the {what} were loaded: '
            f'{lists}.{rest}'
        )
    fitting = {
        k: v for k, v in weights.items() if own.get(k, v.shape) == v.shape
    }
    module.load_state_dict(fitting, strict=False)


def check_finite(
    path: str,
    backbone: nn.Module,
    neck: nn.Module | None,
    prototypes: dict[str, torch.Tensor],
) -> None:
    """Refuse weights that are not finite.

    Args:
        path (str): File, for messages.
        backbone (nn.Module): The backbone.
        neck (nn.Module, optional): The projection head.
        prototypes (dict[str, Tensor]): The prototypes.

    Raises:
        ValueError: If there are NaN or infinite values; names some tensors.
    """
    tensors = {f'backbone.{k}': v for k, v in backbone.state_dict().items()}
    if neck is not None:
        tensors.update((f'neck.{k}', v) for k, v in neck.state_dict().items())
    tensors.update(prototypes)
    bad = [k for k, v in tensors.items() if not torch.isfinite(v).all()]
    if bad:
        raise ValueError(
            f"'{path}' has NaN or infinite values in {len(bad)} of "
            f'{len(tensors)} tensors, first {", ".join(bad[:3])}: the '
            'training has diverged. Take an earlier checkpoint.'
        )
