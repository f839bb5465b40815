# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Matrices of small runs: cells, made one by one, resumable, and summed up.

A program declares its cells (:class:`Cell`), runs what is missing
(:func:`run_cells`) and reads the results from a :class:`Store`.
"""

from .cell import Cell
from .cell_config import config_digest, load_cell_config, shorten
from .cell_folder import CellFolder
from .known_results import take_known
from .scheduler import Failure, Store, run_cells
from .time_left import spoken, time_left

__all__ = [
    'Cell',
    'CellFolder',
    'Failure',
    'Store',
    'config_digest',
    'load_cell_config',
    'run_cells',
    'shorten',
    'spoken',
    'take_known',
    'time_left',
]
