# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The processes of one cell, if it has several."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import torch
from mmengine.dist import (
    broadcast_object_list,
    get_rank,
    get_world_size,
    init_dist,
    is_distributed,
)
from mmengine.utils.dl_utils import set_multi_processing

from pauc_mm.engine.launch import prepare_launch
from pauc_mm.utils.distributed import raise_together

from .cell import Cell
from .cell_config import load_cell_config

_T = TypeVar('_T')


def join_processes(cell: Cell) -> str:
    """Join the processes that torchrun has started for a cell.

    The group is there before the runner, so that they can wait for the folder
    to be prepared. The threads of this process become its share of those that
    it was given.

    Args:
        cell (Cell): What will be run; its config has the options of the group.

    Returns:
        str: The launcher for the config: 'none' if this process is the only
        one, 'pytorch' otherwise.

    Raises:
        ValueError: See :func:`~pauc_mm.compat.prepare_launch`.
    """
    # Only torchrun's own variables count: clusters set WORLD_SIZE as well.
    launched = torch.distributed.is_torchelastic_launched()
    count = int(os.environ.get('WORLD_SIZE', 1)) if launched else 1
    if count > 1 and not is_distributed():
        cfg = load_cell_config(cell)
        cfg.launcher = 'pytorch'
        prepare_launch(cfg)  # starts the group where there is no GPU
        if not is_distributed():  # otherwise as the runner would
            env = cfg.get('env_cfg') or {}
            set_multi_processing(**env.get('mp_cfg', {}), distributed=True)
            init_dist('pytorch', **env.get('dist_cfg', {}))
        here = int(os.environ.get('LOCAL_WORLD_SIZE', count))
        torch.set_num_threads(max(1, torch.get_num_threads() // here))
    return 'pytorch' if get_world_size() > 1 else 'none'


def by_the_first(work: Callable[[], _T], what: str) -> _T:
    """Let the first process do something; a collective call.

    None goes on before it is done: they meet in ``raise_together``.

    Args:
        work (callable): Without arguments; its outcome can be pickled.
        what (str): What is done to the cell, for the message.

    Returns:
        object: The outcome, in all processes.

    Raises:
        Exception: What ``work`` raised, in the first process.
        RuntimeError: In the others, naming it.
    """
    outcome, error = [None], None
    if get_rank() == 0:
        try:
            outcome = [work()]
        except Exception as caught:
            error = caught
    raise_together(error, f'{what} the cell')
    broadcast_object_list(outcome)
    return outcome[0]
