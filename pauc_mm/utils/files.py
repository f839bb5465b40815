# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Names of any bytes, atomic writing, and a lock for a folder."""

import contextlib
import json
import os
import socket
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

LOCK = 'lock'


def check_output(path: str | os.PathLike, key: str, folder: bool) -> None:
    """Refuse an output that could not be written, before any work for it.

    It will be a file or a ``folder``; ``key`` is its option, for the message.

    Raises:
        IsADirectoryError: If it is a folder instead of a file.
        NotADirectoryError: If it is a file instead of a folder, or below one.
        PermissionError: If it may not be written.
    """
    target = Path(path).expanduser().absolute()
    where = f"{key} '{path}'"
    if not folder and target.is_dir():
        raise IsADirectoryError(f'{where} is a folder: name a file.')
    above = target if folder else target.parent
    above = next(p for p in (above, *above.parents) if p.exists())
    where += f" cannot be written: '{above}'"
    if not above.is_dir():
        raise NotADirectoryError(f'{where} is a file.')
    if not os.access(above, os.W_OK | os.X_OK):
        raise PermissionError(f'{where} may not be written to.')


def printable(name: str) -> str:
    r"""Write bytes of a name or path that are no UTF-8 as ``\xe9``."""
    return os.fsencode(name).decode(errors='backslashreplace')


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically: a kill in between leaves the old file.

    What is no UTF-8 is written by :func:`printable`.

    Raises:
        OSError: If it cannot be written; the old file is then untouched.
    """
    path = Path(path)
    part = path.with_name(f'{path.name}.part-{os.getpid()}')
    try:
        part.write_text(printable(text), encoding='utf-8')
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Write plain data as JSON, atomically."""
    write_text(path, json.dumps(data, indent=1) + '\n')


@contextlib.contextmanager
def only_process_in(folder: Path) -> Iterator[None]:
    """Lock a folder, which is created, against other processes.

    The lock ends with the process, however it ends. Where the system has no
    locks, as on Windows or some network disks, a warning says so. The folder
    gets a file :data:`LOCK` that names the process.

    Raises:
        RuntimeError: If another process has locked it.
        OSError: If it cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK, 'a+', errors='replace') as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unlock = partial(fcntl.flock, file, fcntl.LOCK_UN)
        except BlockingIOError as error:
            file.seek(0)
            name = file.read().strip()
            raise RuntimeError(
                f"Another process ({name}) is at work in '{folder}': wait "
                'for it, end it, or name another folder.'
            ) from error
        except (ImportError, OSError) as error:
            unlock = None
            warnings.warn(
                f"'{folder}' is not locked against other runs: {error}.",
                stacklevel=3,
            )
        file.truncate(0)
        file.write(f'pid {os.getpid()} on {socket.gethostname()}\n')
        file.flush()
        if hasattr(os, 'register_at_fork'):  # a child would hold the lock too
            os.register_at_fork(after_in_child=file.close)
        try:
            yield
        finally:
            if unlock:  # at once: a new child closes the file a moment later
                unlock()
