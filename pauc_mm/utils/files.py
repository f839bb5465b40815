# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Atomic writing, file names for backups, and a lock for a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LOCK = 'lock'


def write_text(path: Path, text: str) -> None:
    """Write a file atomically: a kill in between leaves the old one.

    Args:
        path (Path): File in an existing folder.
        text (str): Content, written as UTF-8.

    Raises:
        OSError: If it cannot be written; the old file is then untouched.
    """
    path = Path(path)
    part = path.with_name(f'{path.name}.part-{os.getpid()}')
    try:
        part.write_text(text, encoding='utf-8')
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Write plain data as JSON, atomically."""
    write_text(path, json.dumps(data, indent=1) + '\n')


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


def free_name(path: Path) -> Path:
    """Return the first of ``NAME.1``, ``NAME.2``, ... that does not exist."""
    number = 1
    while (aside := path.with_name(f'{path.name}.{number}')).exists():
        number += 1
    return aside
