# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Weights of a part of a model from a checkpoint, and whether they fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

MIN_MATCHED = 0.9
# Counters that some converters leave out, and that mmengine does not miss.
IGNORED = 'num_batches_tracked'


def read_weights(
    checkpoint: str, prefix: str | None = None
) -> dict[str, Tensor]:
    """The tensors of a checkpoint whose names begin with a prefix.

    Args:
        checkpoint (str): A file, or an address that mmengine knows.
        prefix (str, optional): Of the names, cut off from them, for example
            ``'backbone.'``. Defaults to None: all tensors.

    Returns:
        dict[str, Tensor]: By name, on the CPU.

    Raises:
        FileNotFoundError: There is no such file.
        RuntimeError: It has no tensors, or none with the prefix.
    """
    if '://' not in checkpoint and not Path(checkpoint).is_file():
        raise FileNotFoundError(
            f"there is no checkpoint '{checkpoint}' "
            f'({Path(checkpoint).absolute()}).'
        )
    content = CheckpointLoader.load_checkpoint(
        checkpoint, map_location='cpu', logger='silent'
    )
    state = content
    if isinstance(content, Mapping):
        state = content.get('state_dict', content)
    weights = {}
    if isinstance(state, Mapping):
        weights = {k: v for k, v in state.items() if isinstance(v, Tensor)}
    if not weights:
        raise RuntimeError(
            f"'{checkpoint}' holds no tensors by name, neither in 'state_dict'"
            ' nor at the top: it is no checkpoint of a model.'
        )
    if prefix is None:  # as mmengine, which strips this one alone
        return {re.sub(r'^module\.', '', k): v for k, v in weights.items()}
    prefix = prefix if prefix.endswith('.') else f'{prefix}.'
    part = {
        k[len(prefix) :]: v for k, v in weights.items() if k.startswith(prefix)
    }
    if not part:
        raise RuntimeError(
            f"'{checkpoint}' has no weights that begin with '{prefix}': its "
            f'{len(weights)} names are {_head(weights)}. If it is a backbone '
            'alone, leave the prefix out; if it is of another library, '
            'convert it with a script of tools/converters.'
        )
    return part


def shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a module that a checkpoint should have.

    Args:
        module (nn.Module): Any.

    Returns:
        dict[str, tuple[int, ...]]: By name.
    """
    return {
        k: tuple(v.shape)
        for k, v in module.state_dict().items()
        if not k.endswith(IGNORED)
    }


def matching_names(
    parts: Mapping[str, nn.Module],
    weights: Mapping[str, Tensor],
    checkpoint: str,
    min_matched: float = MIN_MATCHED,
) -> dict[str, list[str]]:
    """Names that parts of a model have in common with a checkpoint.

    Args:
        parts (Mapping[str, nn.Module]): Will be loaded from it, by their
            names in the model. They are counted together: a C4 detector has
            one stage of its backbone in the head.
        weights (Mapping[str, Tensor]): From :func:`read_weights`.
        checkpoint (str): Where the weights are from, for the message.
        min_matched (float): Share of the tensors of the parts that must have
            one of the same name and shape. Defaults to 0.9.

    Returns:
        dict[str, list[str]]: Those with the same shape too, by part.

    Raises:
        RuntimeError: They are fewer; the message shows both sides' names.
    """
    saved = {k: tuple(v.shape) for k, v in weights.items()}
    known = {name: shapes(module) for name, module in parts.items()}
    own = [
        (n, k, shape) for n, part in known.items() for k, shape in part.items()
    ]
    matched = {
        name: [k for k, shape in part.items() if saved.get(k) == shape]
        for name, part in known.items()
    }
    count = sum(len(names) for names in matched.values())
    if own and count >= min_matched * len(own):
        return matched
    used = {k for _, k, _ in own}
    problems = {
        'missing there': [f'{n}.{k}' for n, k, _ in own if k not in saved],
        'there and not in the model': [k for k in saved if k not in used],
        'of another shape there': [
            f'{n}.{k} {saved[k]}, not {shape}'
            for n, k, shape in own
            if saved.get(k, shape) != shape
        ],
    }
    told = '; '.join(
        f'{len(names)} are {what}: {_head(names)}'
        for what, names in problems.items()
        if names
    )
    raise RuntimeError(
        f'Only {count} of the {len(own)} tensors of {" and ".join(parts)} are '
        f"in '{checkpoint}', fewer than {min_matched:.0%}. {told}. "
        'Use the architecture that was pretrained, name the right prefix, or '
        'convert the checkpoint with a script of tools/converters.'
    )


def _head(names: Iterable[str], count: int = 4) -> str:
    names = list(names)
    more = ', ...' if len(names) > count else ''
    return ', '.join(names[:count]) + more
