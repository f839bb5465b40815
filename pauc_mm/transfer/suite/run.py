# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Run the evaluations that the data at hand allows, each once."""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.util import find_spec

from pauc_mm.checkpoints import Checkpoint
from pauc_mm.transfer.features import find_images

from .fine_tuned import fine_tuning_tasks
from .frozen import frozen_tasks
from .task import OWN, Setup, Task

DONE, FAILED, NOT_RUN = 'done', 'failed', 'not run'
SHOWN = 3


def all_tasks() -> list[Task]:
    """Every evaluation, in the order of the table."""
    return [*frozen_tasks(), *fine_tuning_tasks()]


def check_checkpoint(setup: Setup) -> None:
    """Refuse a checkpoint that nothing could be evaluated of.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it cannot be read, or has no encoder.
    """
    options = setup.options
    checkpoint = Checkpoint.open(
        options.checkpoint, options.config, options.trust_checkpoint
    )
    checkpoint.encoder(options.momentum)


def why_not(task: Task, setup: Setup) -> str | None:
    """Why an evaluation cannot be made here.

    Args:
        task (Task): The evaluation.
        setup (Setup): With the data at hand.

    Returns:
        str or None: None if it can.
    """
    if task.data == OWN:
        return _no_own_images(setup)
    found = setup.data[task.data]
    if not found:
        more = len(found.missing) - SHOWN
        told = ', '.join(found.missing[:SHOWN])
        reason = f'there is no {told}' + (f' and {more} more' * (more > 0))
        if any('semi_' in part for part in found.missing):
            reason += ' (tools/data/draw_subset.py makes the list)'
        return reason
    if task.fine_tunes and not setup.gpus:
        return 'it trains a network: say with how many GPUs, --gpus N'
    if task.needs and find_spec(task.needs) is None:
        return (
            f'{task.needs} is not installed: pip install -r '
            'requirements/detection.txt'
        )
    return None


def _no_own_images(setup: Setup) -> str | None:
    if setup.options.train:  # what is wrong there is an error
        return None
    try:
        find_images(setup.options)
    except (ValueError, FileNotFoundError) as error:
        return str(error)
    return None


def run_tasks(
    tasks: Sequence[Task],
    setup: Setup,
    say: Callable[[str], None] = print,
    keep: Callable[[dict], None] = lambda results: None,
) -> dict[str, dict]:
    """Run evaluations, or read what an earlier call found.

    One that fails does not stop the others.

    Args:
        tasks (sequence of Task): In their order.
        setup (Setup): The checkpoint and the data.
        say (callable): Takes a line that tells how far it is.
        keep (callable): Takes the results so far, after each evaluation.

    Returns:
        dict[str, dict]: By name of the task: ``status`` ('done', 'failed' or
        'not run'), ``reason`` where it is not done, else ``figures`` (mean
        and std in percent by row) and ``seconds``.

    Raises:
        FileNotFoundError: If there is no checkpoint.
        ValueError: If it cannot be read, or has no encoder.
    """
    check_checkpoint(setup)
    results: dict[str, dict] = {}
    for number, task in enumerate(tasks, 1):
        head = f'[{number}/{len(tasks)}] {task.name}'
        results[task.name] = _run(task, setup, head, say)
        keep(results)
    return results


def _run(task: Task, setup: Setup, head: str, say) -> dict:
    file = setup.out / 'tasks' / f'{task.name}.json'
    reason = why_not(task, setup)
    if reason:
        say(f'{head}: not run, {reason}')
        return dict(status=NOT_RUN, reason=reason)
    start = time.perf_counter()
    try:
        key = task.key(setup)
        if not setup.force and file.is_file():
            known = json.loads(file.read_text(encoding='utf-8'))
            if known['key'] == key:
                say(f'{head}: done before')
                return known['result']
        say(f'{head} ...')
        figures = task.evaluate(setup)
    except Exception as error:
        traceback.print_exc()
        reason = f'{type(error).__name__}: {error}'
        say(f'{head}: failed, {reason}')
        return dict(status=FAILED, reason=reason)
    result = dict(
        status=DONE,
        figures={row: asdict(figure) for row, figure in figures.items()},
        seconds=round(time.perf_counter() - start, 1),
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix('.tmp')
    temporary.write_text(
        json.dumps(dict(key=key, result=result), indent=2), encoding='utf-8'
    )
    os.replace(temporary, file)
    told = ', '.join(f'{row} {figure}' for row, figure in figures.items())
    say(f'{head}: {told} ({result["seconds"]:.0f} s)')
    return result
