# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Checkpoint files of a run: which is the newest, which are whole."""

import logging
import zipfile
from pathlib import Path


def last_whole(work_dir: Path, logger: logging.Logger) -> str | None:
    """Find the newest checkpoint of a run that is not damaged, if any.

    Raises:
        RuntimeError: If all are damaged.
    """
    damaged = []
    for path in _newest_first(work_dir):
        if problem := _problem(path):
            damaged.append(f'{path} ({problem})')
            continue
        for entry in damaged:
            logger.warning(
                f'Skipping a damaged checkpoint: {entry}. Resuming from '
                f'{path}.'
            )
        return str(path)
    if damaged:
        raise RuntimeError(
            'No checkpoint in the work_dir can be read: '
            f'{"; ".join(damaged)}. Start without --resume, or name a '
            'checkpoint: --resume PATH.'
        )
    return None


def check_whole(name: str) -> None:
    """Refuse a checkpoint file that is missing or damaged.

    Raises:
        FileNotFoundError: If there is no such file.
        RuntimeError: If it is damaged.
    """
    if '://' in name:
        return
    path = Path(name).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f'The checkpoint does not exist: {path.absolute()}.'
        )
    if problem := _problem(path):
        raise RuntimeError(
            f'The checkpoint cannot be read: {path} ({problem}). Name a '
            'whole one; --resume without a path finds the last whole one of '
            'the work_dir.'
        )


def _newest_first(work_dir: Path) -> list[Path]:
    """List the checkpoints of the run, the one to resume from first."""
    # The one that mmengine noted in last_checkpoint, or a later one if the run
    # was killed before it noted it. Numbers alone do not tell: the folder may
    # hold an older run. Neither do times: copying a folder loses them.
    pointer = work_dir / 'last_checkpoint'
    noted = Path(pointer.read_text().strip()) if pointer.is_file() else Path()
    if (work_dir / noted.name).is_file():  # the folder may have been moved
        noted = work_dir / noted.name
    paths = _checkpoints(work_dir)
    if not paths and noted.is_file():  # CheckpointHook's out_dir
        paths = _checkpoints(noted.parent)
    elif noted.parent != work_dir:  # a copy of another run's folder
        noted = Path()
    if not noted.is_file():
        return sorted(paths, key=_written, reverse=True)
    paths.sort(key=_number, reverse=True)
    later = [
        path
        for path in paths
        if _number(path) > _number(noted) and _written(path) > _written(noted)
    ]
    earlier = [path for path in paths if _number(path) < _number(noted)]
    return [*later, noted, *earlier]


def _checkpoints(folder: Path) -> list[Path]:
    return [*folder.glob('epoch_*.pth'), *folder.glob('iter_*.pth')]


def _number(path: Path) -> int:
    digits = path.stem.rpartition('_')[2]
    return int(digits) if digits.isdigit() else -1


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns


def _problem(path: Path) -> str | None:
    """Describe the damage of a file, or return None."""
    size = path.stat().st_size
    with open(path, 'rb') as file:
        if file.read(2) == b'\x80\x02':
            return None  # torch before 1.6 wrote a bare pickle
    if not zipfile.is_zipfile(path):
        return f'truncated or not a checkpoint, {size} bytes'
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        return f'{error}, {size} bytes'
    return f'damaged record {damaged}' if damaged else None
