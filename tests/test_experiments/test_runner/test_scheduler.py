# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import json
import os
import shutil
import sys
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.runner import Cell, Store, config_digest, run_cells
from experiments.runner.cell_config import read_again
from experiments.runner.provenance import usable_cores
from pauc_mm.utils.files import only_process_in

WORKER = (sys.executable, str(Path(__file__).with_name('fake_worker.py')))
RECIPE = 'pauc_mm::carp/carp_tiny_digits.py'


class Watcher:
    def __init__(self, action=None):
        self.lines, self.updates, self.action = [], [], action

    def say(self, line):
        self.lines.append(line)

    def update(self, done, left, now):
        self.updates.append((done, left, now))
        if self.action:
            self.action()


def make(name, act='work', seed=0, **options):
    options = {'randomness.seed': seed, 'fake.act': act, **options}
    cell = Cell(name, RECIPE, options, {'seed': seed})
    return replace(cell, place={'seed': seed, 'digest': config_digest(cell)})


def order(root):
    path = root / 'order.txt'
    return [line.split() for line in path.read_text().splitlines()]


def run(cells, root, jobs=1, action=None):
    watcher = Watcher(action)
    failures = run_cells(cells, Store(root), jobs, watcher, WORKER)
    return failures, watcher


def test_what_is_done_is_not_run_again(tmp_path):
    cells = [make('a'), make('b', seed=1)]
    failures, watcher = run(cells, tmp_path)
    assert failures == []
    threads = str(usable_cores())
    assert order(tmp_path) == [['a', threads], ['b', threads]]
    assert watcher.lines == ['a: knn/k20 0.5 (2 s)', 'b: knn/k20 0.5 (2 s)']
    # The first cell is known to take 2 s, and the second differs by its seed.
    assert any(
        left == pytest.approx(2, abs=0.5) for _, left, _ in watcher.updates
    )
    assert watcher.updates[-1] == (2, 0.0, '')
    failures, watcher = run([*cells, make('c')], tmp_path, jobs=2)
    assert [name for name, _ in order(tmp_path)] == ['a', 'b', 'c']
    assert watcher.lines[0].startswith('2 of 3 cells are done already, in ')
    assert order(tmp_path)[-1][1] == str(max(1, usable_cores() // 2))


def test_a_failure_does_not_stop_the_others(tmp_path):
    cells = [make('bad', 'fail'), make('none', 'nothing'), make('good')]
    failures, watcher = run(cells, tmp_path)
    assert [str(f.cell) for f in failures] == ['bad', 'none']
    assert failures[0].reason == 'begin\nValueError: it was to fail'
    assert failures[0].log == tmp_path / 'bad' / 'log.txt'
    assert watcher.lines[0] == 'bad: FAILED, ValueError: it was to fail'
    assert Store(tmp_path).finished(cells[2])
    # It is tried again, the others are not.
    assert len(run(cells, tmp_path)[0]) == 2
    names = [name for name, _ in order(tmp_path)]
    assert names == ['bad', 'none', 'good', 'bad', 'none']


def test_two_at_the_same_time(tmp_path):
    cells = [make('a', 'sleep'), make('b', 'sleep')]

    def both():
        if all((tmp_path / n / 'pid').is_file() for n in 'ab'):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(cells, tmp_path, jobs=2, action=both)


def test_an_interrupt_ends_the_processes(tmp_path):
    cells = [make('done'), make('slow', 'sleep'), make('later')]
    pid = tmp_path / 'slow' / 'pid'

    def interrupt():
        if pid.is_file() and pid.read_text():
            raise KeyboardInterrupt

    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        run(cells, tmp_path, action=interrupt)
    assert time.perf_counter() - start < 20
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert [name for name, _ in order(tmp_path)] == ['done', 'slow']
    # The same again goes on behind what is done.
    cells[1] = make('slow')
    assert run(cells, tmp_path)[0] == []
    names = [name for name, _ in order(tmp_path)]
    assert names == ['done', 'slow', 'slow', 'later']


def test_a_changed_config_is_run_again(tmp_path):
    run([make('a')], tmp_path)
    changed = make('a', **{'optim_wrapper.optimizer.lr': 0.5})
    store = Store(tmp_path)
    assert store.finished(changed) is None and store.outdated(changed)
    failures, watcher = run([changed], tmp_path)
    assert failures == []
    assert watcher.lines[0].startswith('a: its config has changed. It is run')
    assert store.finished(changed)


@pytest.mark.parametrize(
    'new, reason',
    [
        ('a = 2', 'its config was changed while it ran'),
        ('a = (', 'its config cannot be read any more: '),
    ],
)
def test_a_config_that_is_edited_meanwhile(tmp_path, new, reason):
    recipe = tmp_path / 'recipe.py'
    recipe.write_text('a = 1\n')
    cells = []
    for name in ('first', 'second'):
        cell = Cell(name, str(recipe), {'fake.act': 'work'})
        cells.append(replace(cell, place={'digest': config_digest(cell)}))
    root = tmp_path / 'cells'

    def edit():
        if (root / 'second').is_dir():
            recipe.write_text(f'{new}\n')

    failures, _ = run(cells, root, action=edit)
    assert [str(f.cell) for f in failures] == ['second']
    assert failures[0].reason.startswith(reason)
    recipe.write_text('a = 2\n')
    read_again()
    assert Store(root).outdated(cells[0])


def test_two_programs_on_one_store(tmp_path):
    with only_process_in(tmp_path):
        with pytest.raises(RuntimeError, match='Another process is at work'):
            run([make('a')], tmp_path)
    assert not (tmp_path / 'a').exists()
    assert run([make('a')], tmp_path)[0] == []


def test_a_full_disk(tmp_path, monkeypatch):
    usage = namedtuple('usage', 'total used free')
    monkeypatch.setattr(
        shutil, 'disk_usage', lambda path: usage(2**40, 2**40, 5 * 2**20)
    )
    with pytest.raises(OSError, match='Only 5 MB are free on the disk of'):
        run([make('a')], tmp_path)
    assert not (tmp_path / 'order.txt').exists()


def test_wrong_arguments(tmp_path):
    with pytest.raises(ValueError, match='jobs must be at least 1, not 0'):
        run([make('a')], tmp_path, jobs=0)
    with pytest.raises(ValueError, match='Several cells are named a'):
        run([make('a'), make('a', seed=1)], tmp_path)
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / 'result.json').write_text('{"half": ')
    with pytest.raises(ValueError, match='result.json.*cannot be read'):
        run([make('a')], tmp_path)


def test_results_are_plain_json(tmp_path):
    run([make('a')], tmp_path)
    stored = json.loads((tmp_path / 'a' / 'result.json').read_text())
    assert stored['cell']['name'] == 'a'
