# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations


def stand_in(name: str, base: type) -> type:
    """A class that ``torch.load`` takes for another one.

    For :func:`torch.serialization.safe_globals`: where a file names the other
    class, or a function, objects of this one are made, and no code of the
    other runs.

    Args:
        name (str): Of the other, with its module.
        base (type): What it does instead.

    Returns:
        type: A subclass of ``base``.
    """
    module, _, qualname = name.rpartition('.')
    body = dict(__module__=module, __qualname__=qualname)
    return type(qualname, (base,), body)
