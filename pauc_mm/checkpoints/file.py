# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Read a checkpoint file and find the weights in it."""

import os
import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pauc_mm.compat.safe_load import (
    load_without_code,
    reason,
    refuse_damage,
    refuse_other_files,
)

State = dict[str, Tensor]

TRUST = (
    'If you trust where the file comes from, --trust-checkpoint (trust=True) '
    'loads it and lets it run its code'
)

# Networks of DINO and its successors, and of MSN, which keep their names.
_PARTS = {
    **dict.fromkeys(('teacher', 'student'), ('student', 'teacher')),
    'target_encoder': ('encoder', 'target_encoder'),
}
_WRAPPERS = re.compile(r'^(?:module\.|_orig_mod\.)+')
_CHILDREN = dict(
    zip('014567', ('conv1', 'bn1', 'layer1', 'layer2', 'layer3', 'layer4'))
)


def checkpoint_file(path: str | os.PathLike) -> Path:
    """Return a checkpoint itself, or the weights in Hugging Face's folder."""
    path = Path(path).expanduser()
    inside = path / 'model.safetensors'
    return inside if inside.is_file() else path


def read_file(path: str | os.PathLike, trust: bool = False) -> dict:
    """Read a checkpoint file onto the CPU; its code runs only with ``trust``.

    Returns:
        dict: Its top level; the state of a module that was saved whole; a
        tensor that was saved alone, as 'prototypes'. Objects beside the
        weights are inert, see
        :func:`~pauc_mm.compat.safe_load.load_without_code`.

    Raises:
        OSError: If there is no such file, or it is a folder.
        ValueError: If it is no checkpoint, damaged, or would run code.
    """
    path = Path(path).expanduser()
    refuse_other_files(path)
    name, mmap = str(path), zipfile.is_zipfile(path)
    try:
        if trust and path.suffix != '.safetensors':
            refuse_damage(name)
            content = torch.load(name, 'cpu', weights_only=False, mmap=mmap)
        else:
            content = load_without_code(name, mmap=mmap)
    except Exception as error:
        raise ValueError(_explain(path, error)) from error
    if isinstance(content, nn.Module):
        content = content.state_dict()
    if isinstance(content, Tensor):
        content = dict(prototypes=content)
    if not isinstance(content, dict):
        raise ValueError(
            f"'{path}' holds a {type(content).__name__}, not a checkpoint, "
            'which is a dict of weights.'
        )
    return content


def _explain(path: Path, error: Exception) -> str:
    text = str(error)
    name = re.search(r'(?:GLOBAL|global|class) `?([\w.]+\.\w+|\w+)', text)
    if name and 'nsupported' in text:
        return (
            f"'{path}' needs more than weights: it names {name[1]}, and "
            'loading it would run code. It was refused. '
            f'{TRUST}; or save its state_dict alone in a new file.'
        )
    return (
        f"'{path}' cannot be read as a checkpoint; it may be damaged. "
        f'{reason(error)}'
    )


def find_weights(content: dict, path: str) -> tuple[State, list[str]]:
    """Find the weights in the top level of a checkpoint.

    Returns:
        tuple[dict[str, Tensor], list[str]]: The weights, without the
        prefixes of DistributedDataParallel and torch.compile; DINO's student
        and teacher, MSN's encoders and VISSL's trunk and heads under these
        prefixes. And notes for the user.

    Raises:
        ValueError: If there are none; names the file ``path``.
    """
    inner: Any = content
    for key in ('classy_state_dict', 'base_model', 'model'):
        inner = inner.get(key) if isinstance(inner, dict) else None
    if vissl := _parts(inner, 'trunk', 'heads'):
        return vissl, []
    groups = {'': _tensors(content)}
    groups.update((str(k), _tensors(v)) for k, v in content.items())
    notes = []
    name = 'state_dict'
    for key, names in _PARTS.items():
        parts = _parts(content, *names, 'dino_loss') if key in content else {}
        if parts and not groups.get(name):
            return parts | groups[''], []
    if not groups.get(name):
        name = max(groups, key=lambda group: len(groups[group]))
        if name:
            notes.append(f"The weights are those under '{name}'.")
    if not groups[name]:
        keys = ', '.join(repr(key) for key in list(content)[:6]) or 'none'
        raise ValueError(
            f"'{path}' is a dict without weights; its keys: {keys}. Name a "
            'checkpoint that holds a state_dict.'
        )
    weights = {_WRAPPERS.sub('', k): v for k, v in groups[name].items()}
    named = _named_children(weights)
    if named.keys() != weights.keys():
        notes.append(
            'The numbered layers 0, 1 and 4 to 7 were taken for conv1, bn1 '
            'and layer1 to layer4 of a ResNet.'
        )
    return named, notes


def _parts(content: Any, *names: str) -> State:
    """Return the weights of parts below their names; {} if there are none."""
    parts = content if isinstance(content, dict) else {}
    return {
        f'{name}.{_WRAPPERS.sub("", key)}': value
        for name in names
        for key, value in _tensors(parts.get(name)).items()
    }


def _tensors(value: Any) -> State:
    if isinstance(value, nn.Module):  # only in a trusted file
        value = value.state_dict()
    items = value.items() if isinstance(value, dict) else ()
    return {
        key: item
        for key, item in items
        if isinstance(key, str) and isinstance(item, Tensor)
    }


def _named_children(weights: State) -> State:
    """Name the layers of ``Sequential(*resnet.children())`` again."""
    prefixes = [
        key.removesuffix('4.0.conv1.weight')
        for key in weights
        if re.search(r'(?:^|\.)4\.0\.conv1\.weight$', key)
    ]
    if not prefixes:
        return weights
    child = rf'^({"|".join(map(re.escape, prefixes))})([014567])\.'
    return {
        re.sub(child, lambda m: f'{m[1]}{_CHILDREN[m[2]]}.', key): value
        for key, value in weights.items()
    }
