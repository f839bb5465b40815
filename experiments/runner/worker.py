# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Run one cell: ``python -m experiments.runner.worker FOLDER CELL_AS_JSON``.

On several GPUs, or CPU processes where there is none, it is started by
torchrun: see :func:`~.cell_process.worker_command`.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.runner import Runner

from pauc_mm.apis import config as cli
from pauc_mm.evaluation.functional.checks import NoDirectionError
from pauc_mm.utils.files import write_json

from .cell import Cell
from .cell_config import config_digest, load_cell_config
from .cell_folder import RESULT, CellFolder
from .cell_progress_hook import CellProgressHook
from .measures import find_measure
from .processes import by_the_first, join_processes
from .provenance import hardware, versions

_FORMAT = 1


def run_cell(path: Path, cell: Cell) -> dict:
    """Train and measure a cell, or go on where it was interrupted.

    Of several processes (:func:`~.processes.join_processes`) all train and
    measure, and the first alone locks, prepares and writes the folder; its
    figures count.

    Args:
        path (Path): Its folder.
        cell (Cell): What to run.

    Returns:
        dict: The result, as it is stored in ``result.json``: ``digest``,
        ``cell``, ``figures`` by name, ``diverged`` (None, or what the error
        said if the weights are not finite or embeddings are zero, and there
        are no figures),
        ``records`` (the content of ``cell.files``), ``seconds`` of all
        attempts, ``epoch_seconds``, ``epoch_cpu_seconds``, ``epochs``,
        ``versions``, ``hardware``, ``threads`` and ``date``; of
        several processes also ``processes`` and ``gpus``, the number of
        either. All processes return the same.

    Raises:
        RuntimeError: If another process is at work in the folder, a figure
            is not finite, or another process of this run failed.
        FileNotFoundError: If there is no such config.
        ValueError: If the config cannot be what the cell asks for.
    """
    started = time.perf_counter()
    folder = CellFolder(path)
    launcher = join_processes(cell)
    with contextlib.ExitStack() as held:
        digest, done, resume = by_the_first(
            lambda: _prepare(folder, cell, held), 'Preparing'
        )
        if done is not None:
            return done
        measure = find_measure(cell.measure)
        cfg = load_cell_config(cell)
        cfg.work_dir, cfg.launcher = str(path), launcher
        if resume:
            cfg.resume, cfg.load_from = True, None
        cli.set_dataloader_defaults(cfg)
        runner = cli.build_runner(cfg)
        clock = CellProgressHook(folder, started)
        if get_rank() == 0:
            clock.register(runner)
        figures, diverged = _train_and_measure(runner, measure)
        return by_the_first(
            lambda: _store(folder, cell, digest, figures, diverged, clock),
            'Storing the result of',
        )


def _train_and_measure(
    runner: Runner, measure: Callable[[Runner], dict]
) -> tuple[dict, str | None]:
    """Figures; or none and what was said, if the training is lost.

    It is if weights are not finite, or embeddings have become zero. That is
    an outcome like any other: training again would not change it.
    """
    try:
        runner.train()
        figures = measure(runner)
        _check_finite(figures)
    except NoDirectionError as error:
        return {}, str(error)
    except (ValueError, RuntimeError) as error:
        weights = runner.model.state_dict().values()
        if all(
            torch.isfinite(w).all() for w in weights if w.is_floating_point()
        ):
            raise
        return {}, str(error)
    return figures, None


def _prepare(
    folder: CellFolder, cell: Cell, held: contextlib.ExitStack
) -> tuple[str, dict | None, bool]:
    """Digest; the result if there is one; if there is a run to go on with."""
    held.enter_context(folder.locked())
    digest = config_digest(cell)
    folder.prepare(digest)
    resume = any(folder.path.glob('epoch_*.pth'))
    return digest, folder.finished(digest), resume


def _store(
    folder: CellFolder,
    cell: Cell,
    digest: str,
    figures: dict,
    diverged: str | None,
    clock: CellProgressHook,
) -> dict:
    """The result, as it is written into the folder."""
    folder.drop_checkpoints()
    result = dict(
        format=_FORMAT,
        digest=digest,
        cell=json.loads(cell.to_json()),
        figures=figures,
        diverged=diverged,
        records={
            name: _lines(folder.path / name)
            for name in (() if diverged else cell.files)
        },
        epochs=folder.state()['epoch'],
        seconds=round(clock.seconds, 1),
        epoch_seconds=clock.epoch_seconds,
        epoch_cpu_seconds=clock.epoch_cpu_seconds,
        versions=versions(),
        hardware=hardware(),
        threads=torch.get_num_threads(),
        date=datetime.datetime.now().isoformat(timespec='seconds'),
    )
    processes = get_world_size()
    if processes > 1:
        gpus = processes if torch.cuda.is_available() else 0
        result.update(processes=processes, gpus=gpus)
    write_json(folder.path / RESULT, result)
    return result


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


def main(argv: list[str]) -> None:
    """Run a cell in this process, one of several if torchrun started it.

    Args:
        argv (list[str]): Folder, and the cell by :meth:`Cell.to_json`.
    """
    run = run_cell
    if torch.distributed.is_torchelastic_launched():
        # torchrun then ends what it prints with the error.
        from torch.distributed.elastic.multiprocessing.errors import record

        run = record(run_cell)
    run(Path(argv[0]), Cell.from_json(argv[1]))
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == '__main__':
    main(sys.argv[1:])
