# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Load checkpoints without running code from them.

``torch.load(weights_only=True)`` refuses whole files for a few harmless
objects: the log history that mmengine keeps in every checkpoint, numpy
numbers such as a best accuracy, the arguments of the official DINO. Here an
inert class takes the place of each of them. The real classes are not let in:
their own unpickling trusts the file with memory and with mmengine's methods.
"""

import json
import math
import os
import pickle
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mmengine.runner.checkpoint as checkpoint_module
import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from torch import serialization
from torch.hub import load_state_dict_from_url

from pauc_mm.utils.require import require


class Inert:
    """Record of what a pickle says of an object, which is not made."""

    args: tuple = ()  # of the call that would make it
    state: Any = None  # given to it afterwards

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args = args

    def __setstate__(self, state: Any) -> None:
        self.state = state


_STAND_INS = [
    type(name, (Inert,), dict(__module__=module))
    for module, name in (
        ('argparse', 'Namespace'),
        ('mmengine.logging.history_buffer', 'HistoryBuffer'),
        ('builtins', 'getattr'),  # of the methods that a history buffer lists
        ('__builtin__', 'getattr'),
        ('builtins', 'bytes'),  # protocol 2 writes empty bytes as a call
        ('numpy', 'ndarray'),
        ('numpy', 'dtype'),
        ('numpy.core.multiarray', '_reconstruct'),  # before numpy 2
        ('numpy._core.multiarray', '_reconstruct'),
        ('numpy.core.multiarray', 'scalar'),
        ('numpy._core.multiarray', 'scalar'),
    )
]
_TAKES_STAND_INS = hasattr(serialization, 'safe_globals')  # from torch 2.5


def load_without_code(path: str, map_location: Any = 'cpu', **options) -> Any:
    """Read a file by ``torch.load(weights_only=True)``, with its options.

    A ``.safetensors`` file holds no code and is read by its own library.
    The content has an :class:`Inert` for each object of a few known classes.
    Before torch 2.5 there are no stand-ins, and such a file is refused.

    Raises:
        pickle.UnpicklingError: If it needs anything else, or is damaged.
    """
    if Path(path).suffix == '.safetensors':
        module = require('safetensors.torch', 'safetensors', f"'{path}'")
        with module.safe_open(path, 'pt') as file:
            meta = (file.metadata() or {}).get('pauc_mm')
        weights = module.load_file(path)
        if meta is None:
            return weights
        return dict(meta=json.loads(meta), state_dict=weights)
    refuse_damage(path)
    with _stand_ins_allowed():
        return torch.load(path, map_location, weights_only=True, **options)


def refuse_damage(path: str | os.PathLike) -> None:
    """Compare a file with its checksums, which ``torch.load`` does not.

    Raises:
        pickle.UnpicklingError: If a record of a zip file has changed.
    """
    record = None
    try:
        if has_checksums(path):
            with zipfile.ZipFile(path) as archive:
                record = archive.testzip()
    except Exception as error:  # a damaged header raises anything
        raise pickle.UnpicklingError(str(error)) from error
    if record is not None:
        raise pickle.UnpicklingError(f'damaged record {record}')


def refuse_other_files(path: Path) -> None:
    """Refuse what is seen to be no checkpoint before it is read.

    Raises:
        FileNotFoundError: If there is no such file.
        IsADirectoryError: If it is a folder; the checkpoints in it are
            named.
        ValueError: If it is a part of a file, or another kind of file.
    """
    if path.is_dir():
        inside = sorted(path.glob('*.pth*'), key=os.path.getmtime)
        found = ', '.join(p.name for p in inside[-3:]) or 'none'
        raise IsADirectoryError(
            f"'{path}' is a folder; name a checkpoint file. Checkpoints in "
            f'it: {found}.'
        )
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint '{path}'.")
    with open(path, 'rb') as file:
        start = file.read(16)
    if path.suffix in ('.onnx', '.safetensors'):
        if path.suffix == '.safetensors' and start[8:9] == b'{':
            return
        raise ValueError(
            f"'{path}' is an ONNX graph, without the names of the layers: "
            'name the checkpoint that it was exported from.'
            if path.suffix == '.onnx'
            else f"'{path}' is no safetensors file, or a damaged one."
        )
    size = f'{path.stat().st_size} bytes'
    if start[:2] == b'PK':
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if any('/code/' in name for name in archive.namelist()):
                    raise ValueError(
                        f"'{path}' is a TorchScript program, which is code: "
                        'save the state_dict() of torch.jit.load(FILE).'
                    )
            return
        raise ValueError(
            f"'{path}' is truncated: {size}. Copy or download it again."
        )
    if start[:1] == b'\x80':  # a pickle, as torch before 1.6 wrote
        return
    hint = ''
    if path.suffix in ('.py', '.json', '.yml', '.yaml'):
        hint = ' It is a config: were the two swapped?'
    raise ValueError(
        f"'{path}' is not a checkpoint of torch: {size} that begin with "
        f'{start!r}.{hint}'
    )


def reason(error: Exception) -> str:
    """Say why torch cannot read a file, without its advice to trust it."""
    text = str(error).partition('WeightsUnpickler error:')[2] or str(error)
    return f'{type(error).__name__}: {text.strip().partition(chr(10))[0]}'


def has_checksums(path: str | os.PathLike) -> bool:
    """Tell whether damage of a file would be noticed."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        # torch.serialization.set_crc32_options(False) writes zeros.
        return any(record.CRC for record in archive.infolist())


@contextmanager
def _stand_ins_allowed() -> Iterator[None]:
    """Let ``torch.load`` make stand-ins, and nothing that others allow.

    :func:`torch.serialization.add_safe_globals` holds for the whole process,
    and ``getattr``, say, that somebody has allowed for his own files runs any
    method for a file from elsewhere.
    """
    if not hasattr(serialization, 'get_safe_globals'):  # before torch 2.4
        yield
        return
    before = serialization.get_safe_globals()
    serialization.clear_safe_globals()
    if _TAKES_STAND_INS:
        serialization.add_safe_globals(_STAND_INS)
    try:
        yield
    finally:
        serialization.clear_safe_globals()
        serialization.add_safe_globals(before)


def install_local_loader() -> None:
    """Make mmengine read checkpoints by :func:`load_without_code`.

    Those that it downloads too, which it would read with ``load_url``, and
    the continuation's ``_safe_torch_load``: both would run their code.
    """
    if not _TAKES_STAND_INS:
        return
    # '' is the prefix of local files in mmengine's table of loaders.
    CheckpointLoader.register_scheme('', load_from_local, force=True)
    checkpoint_module.load_url = _load_url
    if hasattr(checkpoint_module, '_safe_torch_load'):
        checkpoint_module._safe_torch_load = _torch_load


# mmengine shows the end of this name in the log.
def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Read a checkpoint with its log history and numpy values.

    Raises:
        FileNotFoundError: If there is no such file.
        RuntimeError: If it is damaged, or holds anything but weights, plain
            values, numpy values and history buffers.
    """
    path = Path(filename).expanduser()
    with _explained(filename):
        refuse_other_files(path)
        return _revive(load_without_code(str(path), map_location))


def _load_url(url: str, *args: Any, **kwargs: Any) -> Any:
    """Download a file, as ``torch.hub``, and read it without its code."""
    with _explained(url), _stand_ins_allowed():
        kwargs['weights_only'] = True
        return _revive(load_state_dict_from_url(url, *args, **kwargs))


def _torch_load(file: Any, map_location: Any = None, *_: Any) -> Any:
    """Read a file or a stream as mmengine's continuation would."""
    with _explained(str(file)), _stand_ins_allowed():
        return _revive(torch.load(file, map_location, weights_only=True))


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what torch raises for a checkpoint into advice."""
    try:
        yield
    except OSError:
        raise
    except ValueError as error:
        raise RuntimeError(str(error)) from error
    except Exception as error:
        found = re.search(r'GLOBAL ([\w.]+)', str(error))
        if found is None:  # no pickle, or a damaged one
            raise RuntimeError(
                f"'{name}' cannot be read as a checkpoint: "
                f'{reason(error)}. Copy it again, or take another one.'
            ) from error
        raise RuntimeError(
            f"'{name}' was not loaded: beside weights and mmengine's log "
            f'history it holds {found[1]}, and making that may run code. If '
            'you trust where it comes from, a script of tools/converters with '
            '--trust-checkpoint writes its weights alone.'
        ) from error


def _revive(value: Any) -> Any:
    """Replace stand-ins by history buffers and numpy values, in place."""
    if isinstance(value, dict):
        for key, item in value.items():
            value[key] = _revive(item)
    elif isinstance(value, list):
        value[:] = [_revive(item) for item in value]
    elif isinstance(value, tuple):
        return type(value)(_revive(item) for item in value)
    elif isinstance(value, Inert):
        kind = type(value).__name__
        try:
            if kind == 'HistoryBuffer':
                return HistoryBuffer(
                    _array(value.state['_log_history']),
                    _array(value.state['_count_history']),
                    int(value.state['max_length']),
                )
            return _array(value)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise pickle.UnpicklingError(f'GLOBAL {kind}') from error
    return value


def _array(record: Inert) -> Any:
    """Return the numpy array or number of a record, copied from its bytes."""
    kind = type(record).__name__
    if kind == 'scalar':
        shape, order, (dtype, raw) = (), 'C', record.args
    elif kind == '_reconstruct':
        _, shape, dtype, in_columns, raw = record.state
        order = 'F' if in_columns else 'C'
    else:
        raise TypeError(f'{kind} is no numpy value')
    code, endian = dtype.args[0], dtype.state[1]
    if not re.fullmatch(r'[biufcSU]\d+', code) or endian not in '<>|=':
        raise ValueError(f'{code} is no plain dtype')
    if count := math.prod(shape):
        flat = np.frombuffer(raw, endian + code, count)
    else:  # frombuffer takes no empty buffer
        flat = np.empty(0, endian + code)
    return flat.reshape(shape, order=order).copy()[()]
