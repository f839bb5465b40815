# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Let mmengine's collate functions take the entry ``_scope_``.

mmengine 0.10 marks every dict of a config that is inherited through
``package::path`` with that entry. It removes the entry where it builds an
object, but not where it builds ``collate_fn``, so that the first batch fails
with "unexpected keyword argument '_scope_'".
"""

from collections.abc import Sequence
from typing import Any

from mmengine import dataset
from mmengine.registry import FUNCTIONS


@FUNCTIONS.register_module(force=True)
def default_collate(batch: Sequence, _scope_: str | None = None) -> Any:
    """Stack the tensors of a batch, as mmengine's ``default_collate``."""
    return dataset.default_collate(batch)


@FUNCTIONS.register_module(force=True)
def pseudo_collate(batch: Sequence, _scope_: str | None = None) -> Any:
    """List the entries of a batch, as mmengine's ``pseudo_collate``."""
    return dataset.pseudo_collate(batch)
