# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Makes mmengine read its own checkpoints on torch 2.6 and newer.

There ``torch.load`` takes nothing but weights, and mmengine 0.10 keeps its log
history as objects in every checkpoint: ``load_from``, ``--resume`` and
``init_cfg`` fail on files of mmpretrain and mmdet. (Those of this project have
plain types, see :mod:`.plain_checkpoint`.) Here the loader for local files
reads these objects as records, which run nothing, and makes history buffers,
arrays and numbers of what it finds in them. The real classes are not let in:
their own unpickling trusts the file with memory and with mmengine's methods.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader
from mmengine.utils import digit_version

from .stand_ins import loads_instead, stand_in

_LOCAL = ''  # the prefix of files in mmengine's table of loaders


class _Unknown(Exception):
    """Something that is not made of a record."""


class _Record:
    """What a pickle says of an object, and no object."""

    def __init__(self, *args: Any) -> None:
        self.args = args

    def __setstate__(self, state: Any) -> None:
        self.state = state


_HISTORY, _DTYPE, _METHOD, _BYTES = (
    stand_in(name, _Record)
    for name in (
        'mmengine.logging.history_buffer.HistoryBuffer',
        'numpy.dtype',
        'builtins.getattr',  # of the methods that a history buffer lists
        'builtins.bytes',  # how protocol 2 writes that there are none
    )
)
_ARRAYS, _NUMBERS = (
    tuple(
        stand_in(f'numpy.{core}.multiarray.{name}', _Record)
        for core in ('core', '_core')  # before and since numpy 2
    )
    for name in ('_reconstruct', 'scalar')
)
_STAND_INS = [
    _HISTORY,
    _DTYPE,
    _METHOD,
    _BYTES,
    *_ARRAYS,
    *_NUMBERS,
    stand_in('numpy.ndarray', _Record),
]


def install_local_checkpoints() -> None:
    """Replace mmengine's loader of local files where torch needs it."""
    # 2.6.0a0 is what some containers of 2.6 call themselves.
    if digit_version(torch.__version__) < digit_version('2.6.0a0'):
        return
    loader = CheckpointLoader._schemes[_LOCAL]
    if not getattr(loader, 'of_pauc_mm', False):
        CheckpointLoader.register_scheme(_LOCAL, _wrap(loader), force=True)


def _wrap(loader: Callable) -> Callable:
    # mmengine shows the end of this name in the log.
    def load_from_local(filename: str, map_location: Any = None) -> Any:
        try:
            with loads_instead(_STAND_INS):
                content = loader(filename, map_location)
            return _made(content)
        except _Unknown as error:
            name, cause = str(error), error
        except pickle.UnpicklingError as error:
            match = re.search(r'GLOBAL ([\w.]+)', str(error))
            if match is None:  # no pickle, or a damaged one
                raise
            name, cause = match[1], error
        raise RuntimeError(
            f"'{filename}' was not loaded: beside weights and mmengine's log "
            f'history it holds {name}, which is not read, for making it may '
            'run code. If you trust where it comes from, a script of '
            'tools/converters with --trust-checkpoint writes its weights '
            'alone, and '
            'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1 loads all of it.'
        ) from cause

    load_from_local.of_pauc_mm = True
    return load_from_local


def _made(value: Any) -> Any:
    """The same nesting, in place, with objects for the records."""
    if isinstance(value, dict):
        for key, item in value.items():
            value[key] = _made(item)
    elif isinstance(value, list):
        value[:] = [_made(item) for item in value]
    elif isinstance(value, tuple):
        return type(value)(_made(item) for item in value)
    elif isinstance(value, _Record):
        try:
            return _object(value)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise _unknown(value) from error
    return value


def _object(record: _Record) -> Any:
    if isinstance(record, _HISTORY):
        state = record.state
        logs, counts = (
            _array(state[name]) for name in ('_log_history', '_count_history')
        )
        return HistoryBuffer(logs, counts, int(state['max_length']))
    if isinstance(record, _NUMBERS):
        dtype, raw = record.args
        return _numbers(dtype, raw, 1)[0]
    return _array(record)


def _array(record: _Record) -> np.ndarray:
    if not isinstance(record, _ARRAYS):
        raise _unknown(record)
    _, shape, dtype, in_columns, raw = record.state
    flat = _numbers(dtype, raw, math.prod(shape))
    return flat.reshape(shape, order='F' if in_columns else 'C').copy()


def _numbers(dtype: Any, raw: Any, count: int) -> np.ndarray:
    """Numbers or texts of a plain type, from their bytes."""
    if isinstance(raw, _BYTES) and not raw.args:
        raw = b''
    if not isinstance(dtype, _DTYPE) or not isinstance(raw, bytes):
        raise _unknown(raw)
    code, order = dtype.args[0], dtype.state[1]
    if not re.fullmatch(r'[biufcSU]\d+', str(code)) or order not in '<>|=':
        raise _unknown(f'numbers of type {code!r}')
    dtype = np.dtype(order + code)
    return np.frombuffer(raw, dtype, count) if count else np.empty(0, dtype)


def _unknown(what: Any) -> _Unknown:
    name = type(what).__name__ if isinstance(what, _Record) else what
    return _Unknown(f'{name!s:.80}')
