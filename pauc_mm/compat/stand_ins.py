# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import serialization


def stand_in(name: str, base: type) -> type:
    """A class that ``torch.load`` takes for another one.

    For :func:`loads_instead`: where a file names the other class, or a
    function, objects of this one are made, and no code of the other runs.

    Args:
        name (str): Of the other, with its module.
        base (type): What it does instead.

    Returns:
        type: A subclass of ``base``.
    """
    module, _, qualname = name.rpartition('.')
    body = dict(__module__=module, __qualname__=qualname)
    return type(qualname, (base,), body)


@contextmanager
def loads_instead(stand_ins: Sequence[type]) -> Iterator[None]:
    """While this is active, ``torch.load`` makes stand-ins of what they name.

    Also where somebody has allowed the real ones
    (:func:`torch.serialization.add_safe_globals`): a real class that is given
    stand-ins for its parts would keep them. What was allowed is allowed again
    afterwards. Needs torch 2.5.

    Args:
        stand_ins (Sequence[type]): Made by :func:`stand_in`.
    """
    before = serialization.get_safe_globals()
    names = {_name(one) for one in stand_ins}
    others = [one for one in before if _name(one) not in names]
    serialization.clear_safe_globals()
    serialization.add_safe_globals([*others, *stand_ins])
    try:
        yield
    finally:
        serialization.clear_safe_globals()
        serialization.add_safe_globals(before)


def _name(allowed: Any) -> str:
    """As torch looks it up: a callable, or a pair of it and its name."""
    if isinstance(allowed, tuple):
        return allowed[1]
    return f'{allowed.__module__}.{allowed.__qualname__}'
