# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Checkpoint files of a run: which is the newest, which are whole."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from pauc_mm.checkpoints.file import read_file
from pauc_mm.checkpoints.weights import not_finite
from pauc_mm.utils.checks import listed

POINTER = 'last_checkpoint'


def last_whole(work_dir: Path, logger: logging.Logger) -> str | None:
    """Find the newest checkpoint of a run that is whole and finite, if any.

    Raises:
        RuntimeError: If there are some, but none is; or if the one that
            ``last_checkpoint`` names is gone.
    """
    problems = []
    noted = _noted(work_dir)
    if noted != Path() and not os.path.isfile(noted):
        pointer = work_dir / POINTER
        problems.append(f'{pointer} names {str(noted)!r}, which is not there')
    for path in _newest_first(work_dir, noted):
        if problem := _problem(path):
            problems.append(f'{path} ({problem})')
            continue
        for entry in problems:
            logger.warning(f'Passed over: {entry}. Resuming from {path}.')
        return str(path)
    if problems:
        raise RuntimeError(
            f'No checkpoint in the work_dir can be read: {"; ".join(problems)}'
            '. Start without --resume, or name a checkpoint: --resume PATH.'
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
        raise FileNotFoundError(f'There is no checkpoint {path.absolute()}.')
    if problem := _problem(path):
        raise RuntimeError(
            f'The checkpoint cannot be used: {path} ({problem}). Name a whole '
            'one; --resume without a path finds the last one of the work_dir.'
        )


def not_finite_in(checkpoint: Mapping[str, Any]) -> str:
    """Name some weights that are NaN or infinite; '' if there are none."""
    parts = [checkpoint.get(k) for k in ('state_dict', 'ema_state_dict')]
    items = [item for part in parts if part for item in part.items()]
    tensors = [{k: v} for k, v in items if isinstance(v, Tensor)]
    return listed(bad for item in tensors for bad in not_finite(item))


def _noted(work_dir: Path) -> Path:
    """Return the checkpoint that mmengine noted, ``Path()`` if none."""
    pointer = work_dir / POINTER
    if not pointer.is_file():
        return Path()
    # Any bytes: the disk may have been full.
    noted = Path(os.fsdecode(pointer.read_bytes().strip()))
    beside = work_dir / noted.name  # the folder may have been moved
    return beside if noted.name and os.path.isfile(beside) else noted


def _newest_first(work_dir: Path, noted: Path) -> list[Path]:
    """List the checkpoints of the run, the one to resume from first."""
    # The one that mmengine noted in last_checkpoint, or a later one if the run
    # was killed before it noted it. Numbers alone do not tell: the folder may
    # hold an older run. Neither do times: copying a folder loses them.
    paths = _checkpoints(work_dir)
    if not paths and os.path.isfile(noted):  # CheckpointHook's out_dir
        paths = _checkpoints(noted.parent)
    elif noted.parent != work_dir:  # a copy of another run's folder
        noted = Path()
    if not os.path.isfile(noted):
        return sorted(paths, key=_written, reverse=True)
    number, time = _number(noted), _written(noted)
    earlier = [p for p in paths if _number(p) < number]
    later = [p for p in paths if _number(p) > number and _written(p) > time]
    return sorted([*later, noted, *earlier], key=_number, reverse=True)


def _checkpoints(folder: Path) -> list[Path]:
    return [*folder.glob('epoch_*.pth'), *folder.glob('iter_*.pth')]


def _number(path: Path) -> int:
    digits = path.stem.rpartition('_')[2]
    return int(digits) if digits.isdigit() else -1


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns


def _problem(path: Path) -> str | None:
    """Describe why a file cannot be gone on from, or return None."""
    try:
        bad = not_finite_in(read_file(path))
    except (ValueError, OSError) as error:
        return str(error).removeprefix(f"'{path}' ")
    return f'NaN or infinite: {bad}; the training diverged' if bad else None
