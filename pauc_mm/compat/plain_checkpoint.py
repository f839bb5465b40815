# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

_HISTORY = '__history_buffer__'


def to_plain(value: Any) -> Any:
    """Replace the objects that ``torch.load(weights_only=True)`` refuses.

    Torch 2.6 loads checkpoints that way by default, and mmengine 0.10 stores
    its log history as HistoryBuffer objects of numpy arrays, so ``--resume``
    fails. Any nesting of dicts, lists, tuples, numbers, strings, tensors,
    numpy values and history buffers becomes one of plain types and tensors;
    :func:`from_plain` brings the history buffers back.
    """
    if isinstance(value, HistoryBuffer):
        log_history, count_history = value.data
        return {
            _HISTORY: True,
            'log_history': torch.from_numpy(np.array(log_history, float)),
            'count_history': torch.from_numpy(np.array(count_history, float)),
            'max_length': int(value.max_length),
        }
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.copy())
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        kind = OrderedDict if isinstance(value, OrderedDict) else dict
        plain = kind((k, to_plain(v)) for k, v in value.items())
        if hasattr(value, '_metadata'):  # the versions in a state_dict
            plain._metadata = value._metadata
        return plain
    if isinstance(value, (list, tuple)):
        plain = [to_plain(item) for item in value]
        return plain if isinstance(value, list) else tuple(plain)
    return value


def from_plain(value: Any) -> Any:
    """Rebuild the history buffers that :func:`to_plain` replaced."""
    if isinstance(value, dict):
        if value.get(_HISTORY):
            return HistoryBuffer(
                value['log_history'].tolist(),
                value['count_history'].tolist(),
                value['max_length'],
            )
        kind = OrderedDict if isinstance(value, OrderedDict) else dict
        return kind((k, from_plain(v)) for k, v in value.items())
    return value
