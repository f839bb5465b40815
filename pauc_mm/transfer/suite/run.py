# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Run every evaluation whose data is available, each once."""

import json
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.util import find_spec

from pauc_mm._requirements import install_argument
from pauc_mm.embedding.preprocessing import input_line
from pauc_mm.transfer.features import find_images, load_encoder
from pauc_mm.utils.files import write_json

from .fine_tuned import fine_tuning_tasks
from .frozen import frozen_tasks
from .task import OWN, Setup, Task

DONE, FAILED, NOT_RUN = 'done', 'failed', 'not run'


def all_tasks() -> list[Task]:
    """Return every evaluation, in the order of the table."""
    return [*frozen_tasks(), *fine_tuning_tasks()]


def why_not(task: Task, setup: Setup) -> str | None:
    """Return the reason why an evaluation cannot run, None if it can."""
    if task.data == OWN:
        if setup.options.train:  # faults of named folders are errors
            return None
        try:
            find_images(setup.options)
        except (ValueError, FileNotFoundError) as error:
            return str(error)
        return None
    data = setup.data[task.data]
    if not data:
        reason = f'there is no {", ".join(data.missing)}'
        if any('semi_' in part for part in data.missing):
            reason += ' (tools/data/draw_subset.py makes the list)'
        return reason
    if task.fine_tunes and not setup.gpus:
        return 'it trains a network: give the number of GPUs, --gpus N'
    if task.needs and find_spec(task.needs) is None:
        return (
            f'{task.needs} is not installed: pip install '
            f'{install_argument(task.needs)}'
        )
    return None


def run_tasks(
    tasks: Sequence[Task],
    setup: Setup,
    save: Callable[[dict], None] = lambda results: None,
) -> dict[str, dict]:
    """Run evaluations, or read the results of an earlier call.

    A failure does not stop the others, but a checkpoint without encoder
    does, see :func:`.load_encoder`. ``save`` is called with the results after
    each evaluation.

    Returns:
        dict[str, dict]: By name of the task: ``status`` ('done', 'failed' or
        'not run'), ``reason`` if it is not done, else ``figures`` (mean and
        std in percent by row), ``seconds`` and ``input``
        (:func:`~pauc_mm.embedding.preprocessing.describe_input`; None where
        a network is trained).
    """
    load_encoder(setup.options)
    results: dict[str, dict] = {}
    for number, task in enumerate(tasks, 1):
        head = f'[{number}/{len(tasks)}] {task.name}'
        results[task.name] = _run(task, setup, head)
        save(results)
    return results


def _run(task: Task, setup: Setup, head: str) -> dict:
    file = setup.out / 'tasks' / f'{task.name}.json'
    reason = why_not(task, setup)
    if reason:
        print(f'{head}: not run, {reason}')
        return dict(status=NOT_RUN, reason=reason)
    start = time.perf_counter()
    try:
        key = task.key(setup)
        if not setup.force and file.is_file():
            known = json.loads(file.read_text(encoding='utf-8'))
            if known['key'] == key:
                print(f'{head}: done before')
                return known['result']
        facts = key.get('input')  # of those that train no network
        print(f'{head} ...' + (f' {input_line(facts)}' if facts else ''))
        scores = task.evaluate(setup)
    except Exception as error:
        traceback.print_exc()
        reason = f'{type(error).__name__}: {error}'
        print(f'{head}: failed, {reason}')
        return dict(status=FAILED, reason=reason)
    result = dict(
        status=DONE,
        figures={row: asdict(score) for row, score in scores.items()},
        seconds=round(time.perf_counter() - start, 1),
        input=facts,
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, dict(key=key, result=result))
    text = ', '.join(f'{row} {score}' for row, score in scores.items())
    print(f'{head}: {text} ({result["seconds"]:.0f} s)')
    return result
