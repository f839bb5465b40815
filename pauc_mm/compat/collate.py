# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""mmengine's collate functions for configs inherited from a package.

mmengine 0.10 marks every dict of a config that is inherited through
``package::path`` with the entry ``_scope_``. It takes that entry off again
where it builds an object, but not where it builds ``collate_fn``, so that the
first batch fails with "unexpected keyword argument '_scope_'".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.dataset import default_collate as _default_collate
from mmengine.dataset import pseudo_collate as _pseudo_collate
from mmengine.registry import FUNCTIONS


@FUNCTIONS.register_module(force=True)
def default_collate(batch: Sequence, _scope_: str | None = None) -> Any:
    """Stack the tensors of a batch, as mmengine's ``default_collate``.

    Args:
        batch (Sequence): Samples.
        _scope_ (str, optional): Ignored.

    Returns:
        Any: The batch.
    """
    return _default_collate(batch)


@FUNCTIONS.register_module(force=True)
def pseudo_collate(batch: Sequence, _scope_: str | None = None) -> Any:
    """List the samples' entries, as mmengine's ``pseudo_collate``.

    Args:
        batch (Sequence): Samples.
        _scope_ (str, optional): Ignored.

    Returns:
        Any: The batch.
    """
    return _pseudo_collate(batch)
