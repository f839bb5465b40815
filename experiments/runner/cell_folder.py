# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pauc_mm.utils.files import (
    LOCK,
    free_name,
    keep_aside,
    only_process_in,
    write_json,
)

RESULT, STATE, LOG = 'result.json', 'state.json', 'log.txt'
_REPLACED = 'replaced'
# What a report reads of every result.
RESULT_KEYS = frozenset(
    'format digest cell figures records epochs seconds epoch_seconds '
    'versions hardware threads date'.split()
)


class CellFolder:
    """The folder of a cell: its run, and what came out.

    ``state.json`` says which config the run is of, how far it is and how long
    it took; ``result.json`` is there once it is done.

    Args:
        path (Path): Made when it is first written.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def result(self) -> dict | None:
        """What is stored, of whichever config; None if nothing is.

        Raises:
            ValueError: If the file cannot be read.
        """
        return self._read(RESULT)

    def finished(self, digest: str) -> dict | None:
        """The result, if it is there and of this config."""
        result = self.result()
        return result if result and result['digest'] == digest else None

    def state(self) -> dict:
        """Of the run: ``digest``, ``epoch``, ``max_epochs``, ``seconds``."""
        return self._read(STATE) or {}

    def write_state(self, **values) -> None:
        """Replace the state."""
        write_json(self.path / STATE, values)

    def prepare(self, digest: str) -> None:
        """Make the folder ready for a run of this config.

        What another config left is not resumed but kept aside: its result as
        ``result.json.1`` and so on, its run in a folder ``replaced.1``.

        Args:
            digest (str): Of the config.
        """
        result = self.result()
        if result is not None and result['digest'] != digest:
            keep_aside(self.path / RESULT)
        if self.state().get('digest') == digest:
            return
        left = [
            path
            for path in self.path.iterdir()
            if path.name not in (LOG, LOCK)
            and not path.name.startswith((RESULT, _REPLACED))
        ]
        if left:
            aside = free_name(self.path / _REPLACED)
            aside.mkdir()
            for path in left:
                path.rename(aside / path.name)
        self.write_state(digest=digest, epoch=0, max_epochs=0, seconds=0.0)

    def drop_checkpoints(self) -> None:
        """Remove all checkpoints but the one that the run noted last."""
        noted = self.path / 'last_checkpoint'
        if not noted.is_file():
            return
        last = Path(noted.read_text().strip()).name
        for path in self.path.glob('epoch_*.pth'):
            if path.name != last:
                path.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out; where there is no fcntl nothing is kept.

        Raises:
            RuntimeError: If another process is in.
        """
        with only_process_in(self.path):
            yield

    def log_end(self, lines: int = 15) -> str:
        """The last lines that the run printed."""
        path = self.path / LOG
        if not path.is_file():
            return ''
        text = path.read_text(encoding='utf-8', errors='replace')
        return '\n'.join(text.rstrip().splitlines()[-lines:])

    def _read(self, name: str) -> dict | None:
        path = self.path / name
        if not path.is_file():
            return None
        try:
            return json.loads(path.read_text(encoding='utf-8'))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            size = os.path.getsize(path)
            raise ValueError(
                f"'{path}' ({size} bytes) cannot be read: {error}. Remove it "
                'to have the cell run again.'
            ) from error
