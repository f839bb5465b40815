# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""File names for backups, and a lock for a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = 'lock'


def free_name(path: Path) -> Path:
    """Return the first of ``NAME.1``, ``NAME.2``, ... that does not exist."""
    number = 1
    while (aside := path.with_name(f'{path.name}.{number}')).exists():
        number += 1
    return aside


def keep_aside(path: Path) -> Path:
    """Rename a file to the first free of ``NAME.1``, ``NAME.2`` and so on.

    Returns:
        Path: The new name; the highest number is the newest.
    """
    aside = free_name(path)
    path.rename(aside)
    return aside


@contextmanager
def only_process_in(folder: Path) -> Iterator[None]:
    """Lock a folder, which is created, against other processes.

    Without fcntl, as on Windows, there is no lock.

    Args:
        folder (Path): Gets a file :data:`LOCK`.

    Raises:
        RuntimeError: If another process has locked it.
        OSError: If it cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:
        yield
        return
    with open(folder / LOCK, 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RuntimeError(
                f"Another process is at work in '{folder}': wait for it, or "
                'end it.'
            ) from error
        yield
