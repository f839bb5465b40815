# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Files that are whole or not there, and old ones that are kept."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LOCK = 'lock'


def write_text(path: Path, text: str) -> None:
    """Write a file so that a kill in between leaves the old one.

    Args:
        path (Path): In a folder that exists.
        text (str): Content, in UTF-8.

    Raises:
        OSError: If it cannot be written, on a full disk say; what was there
            is then untouched.
    """
    path = Path(path)
    part = path.with_name(f'{path.name}.part-{os.getpid()}')
    try:
        part.write_text(text, encoding='utf-8')
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Write plain data as JSON, see :func:`write_text`."""
    write_text(path, json.dumps(data, indent=1) + '\n')


def keep_aside(path: Path) -> Path:
    """Give a file the first free name of ``NAME.1``, ``NAME.2`` and so on.

    Args:
        path (Path): A file.

    Returns:
        Path: Its new name; the highest number is the newest.
    """
    aside = free_name(path)
    path.rename(aside)
    return aside


@contextmanager
def only_process_in(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder, which is made.

    Where there is no fcntl, on Windows, nothing is kept out.

    Args:
        folder (Path): Gets a file :data:`LOCK`.

    Raises:
        RuntimeError: If another process is in.
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
    """The first of ``NAME.1``, ``NAME.2`` and so on that is not there."""
    number = 1
    while (aside := path.with_name(f'{path.name}.{number}')).exists():
        number += 1
    return aside
