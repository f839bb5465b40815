# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Results from the raw file of a report, instead of training once more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pauc_mm.utils.files import only_process_in, write_json

from .cell import Cell
from .cell_config import config_digest
from .cell_folder import RESULT, RESULT_KEYS
from .scheduler import Store


def take_known(
    path: Path, cells: Sequence[Cell], store: Store
) -> tuple[int, int]:
    """Store what a file knows of these cells.

    Taken are results of the very configs that the cells have now, where the
    store has none yet.

    Args:
        path (Path): The JSON beside a report: a list of results, as
            :func:`.worker.run_cell` gives them.
        cells (sequence of Cell): What is wanted.
        store (Store): Where they go.

    Returns:
        tuple[int, int]: How many were taken, and how many were not because
        the config has changed since.

    Raises:
        ValueError: If the file is not such a list.
        OSError: If it is not there, or the store cannot be written.
        RuntimeError: If another process runs cells of this store.
    """
    by_name = _read(path)
    taken = changed = 0
    with only_process_in(store.root):
        for cell in cells:
            known = by_name.get(cell.name)
            if known is None:
                continue
            digest, folder = config_digest(cell), store.folder(cell)
            if folder.finished(digest) is not None:
                continue
            if known['digest'] != digest:
                changed += 1
                continue
            folder.path.mkdir(parents=True, exist_ok=True)
            folder.prepare(digest)
            write_json(folder.path / RESULT, known)
            taken += 1
    return taken, changed


def _read(path: Path) -> dict[str, dict]:
    """Results by the name of their cell."""
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"--known '{path}': there is no such file. Name the .json beside "
            'a report, such as docs/results.json.'
        )
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8'))
        by_name = {result['cell']['name']: result for result in content}
        complete = all(result.keys() >= RESULT_KEYS for result in content)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise ValueError(f'{_wrong(path)}: {error!r}') from error
    if not complete:
        raise ValueError(_wrong(path))
    return by_name


def _wrong(path: Path) -> str:
    return (
        f"--known '{path}' does not have results of cells, as the .json "
        'beside a report has'
    )
