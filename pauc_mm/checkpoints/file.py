# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import re
import zipfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pauc_mm.compat.stand_ins import loads_instead, stand_in

TRUST = (
    'If you trust where the file comes from, --trust-checkpoint (trust=True) '
    'loads it and lets it run its code'
)


class _Ignored:
    """Stands for an object that a checkpoint carries beside its weights."""

    def __init__(self, *args, **kwargs) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


# What ordinary checkpoints hold beside tensors: the arguments of DINO, the
# log history of mmengine, numpy numbers such as a best accuracy. None of it
# is needed, so that harmless classes take the place of the real ones, whose
# code (getattr above all) is never run.
_STAND_INS = [
    stand_in(name, _Ignored)
    for name in (
        'argparse.Namespace',
        'builtins.getattr',
        '__builtin__.getattr',
        'mmengine.logging.history_buffer.HistoryBuffer',
        'numpy.ndarray',
        'numpy.dtype',
        'numpy.core.multiarray._reconstruct',
        'numpy.core.multiarray.scalar',
        'numpy._core.multiarray._reconstruct',
        'numpy._core.multiarray.scalar',
    )
]


def read_checkpoint(path: str | os.PathLike, trust: bool = False) -> dict:
    """Read a checkpoint file onto the CPU, without running code in it.

    Loaded with ``weights_only=True``. Where torch has ``safe_globals`` (2.5)
    a few objects that ordinary checkpoints carry are replaced by empty ones.

    Args:
        path (str or PathLike): The file.
        trust (bool): Whether the file may run code, which pickles can.
            Defaults to False.

    Returns:
        dict: Its top level; the state of a module that was saved whole.

    Raises:
        FileNotFoundError: If there is no such file.
        IsADirectoryError: If it is a folder; the checkpoints in it are
            named.
        ValueError: If it is no checkpoint, damaged, or would run code.
    """
    path = Path(path).expanduser()
    _check_file(path)
    options: dict[str, Any] = dict(map_location='cpu', weights_only=not trust)
    if zipfile.is_zipfile(path):
        options['mmap'] = True
    allow = nullcontext()
    if hasattr(torch.serialization, 'safe_globals') and not trust:
        allow = loads_instead(_STAND_INS)
    try:
        with allow:
            content = torch.load(str(path), **options)
    except Exception as error:
        raise ValueError(_explain(path, error)) from error
    if isinstance(content, nn.Module):
        content = content.state_dict()
    if not isinstance(content, dict):
        raise ValueError(
            f"'{path}' holds a {type(content).__name__}, not a checkpoint, "
            'which is a dict of weights.'
        )
    return content


def _check_file(path: Path) -> None:
    if path.is_dir():
        inside = [*path.glob('*.pth'), *path.glob('*.pth.tar')]
        inside = sorted(inside, key=lambda p: p.stat().st_mtime)
        names = ', '.join(p.name for p in inside[-3:]) or 'none'
        raise IsADirectoryError(
            f"'{path}' is a folder; name a checkpoint file. Checkpoints in "
            f'it: {names}.'
        )
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint '{path}'.")
    with open(path, 'rb') as file:
        start = file.read(16)
    if start[:2] == b'PK':
        if not zipfile.is_zipfile(path):
            raise ValueError(
                f"'{path}' is truncated: {path.stat().st_size} bytes. Copy or "
                'download it again.'
            )
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any(name.endswith('data.pkl') for name in names):
            return
    elif start[:1] == b'\x80':  # a pickle, as torch before 1.6 wrote
        return
    hint = ''
    if path.suffix == '.safetensors':
        hint = ' Convert it: torch.save(safetensors.torch.load_file(A), B).'
    raise ValueError(
        f"'{path}' is not a checkpoint of torch: {path.stat().st_size} bytes "
        f'that begin with {start!r}.{hint}'
    )


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
        f'{type(error).__name__}: {text.splitlines()[0] if text else ""}'
    )
