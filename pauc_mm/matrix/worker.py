# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Run one cell: ``python -m pauc_mm.matrix.worker FOLDER CELL_AS_JSON``."""

from __future__ import annotations

import datetime
import json
import math
import sys
import time
from pathlib import Path

from ..utils import cli
from ..utils.files import write_json
from .cell import Cell
from .cell_config import config_digest, load_cell_config
from .cell_folder import RESULT, CellFolder
from .cell_progress_hook import CellProgressHook
from .measures import find_measure
from .provenance import hardware, versions

_FORMAT = 1


def run_cell(path: Path, cell: Cell) -> dict:
    """Train and measure a cell, or go on where it was interrupted.

    Args:
        path (Path): Its folder.
        cell (Cell): What to run.

    Returns:
        dict: The result, as it is stored in ``result.json``: ``digest``,
        ``cell``, ``figures`` by name, ``records`` (the content of
        ``cell.files``), ``seconds`` of all attempts, ``epoch_seconds``,
        ``epochs``, ``versions``, ``hardware``, ``threads`` and ``date``.

    Raises:
        RuntimeError: If another process is at work in the folder, or a figure
            is not finite.
        FileNotFoundError: If there is no such config.
        ValueError: If the config cannot be what the cell asks for.
    """
    started = time.perf_counter()
    folder = CellFolder(path)
    with folder.locked():
        digest = config_digest(cell)
        folder.prepare(digest)
        done = folder.finished(digest)
        if done is not None:
            return done
        measure = find_measure(cell.measure)
        cfg = load_cell_config(cell)
        cfg.work_dir, cfg.launcher = str(path), 'none'
        if any(path.glob('epoch_*.pth')):
            cfg.resume, cfg.load_from = True, None
        cli.set_dataloader_defaults(cfg)
        runner = cli.build_runner(cfg)
        clock = CellProgressHook(folder, started)
        runner.register_hook(clock)
        runner.train()
        figures = measure(runner)
        _check_finite(figures)
        folder.drop_checkpoints()
        result = dict(
            format=_FORMAT,
            digest=digest,
            cell=json.loads(cell.to_json()),
            figures=figures,
            records={name: _lines(path / name) for name in cell.files},
            epochs=runner.epoch,
            seconds=round(clock.seconds, 1),
            epoch_seconds=clock.median,
            versions=versions(),
            hardware=hardware(),
            threads=_threads(),
            date=datetime.datetime.now().isoformat(timespec='seconds'),
        )
        write_json(path / RESULT, result)
        return result


def _threads() -> int:
    import torch

    return torch.get_num_threads()


def _lines(path: Path) -> list[dict]:
    text = path.read_text(encoding='utf-8')
    return [json.loads(line) for line in text.splitlines()]


def _check_finite(figures: dict) -> None:
    wrong = [n for n, value in figures.items() if not math.isfinite(value)]
    if wrong:
        raise RuntimeError(
            f'The figures {", ".join(wrong)} are not finite: the training '
            'has diverged. Lower optim_wrapper.optimizer.lr.'
        )


if __name__ == '__main__':
    run_cell(Path(sys.argv[1]), Cell.from_json(sys.argv[2]))
