# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import os
import shutil
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest

from experiments.runner import ConfigRun, Scheduler, Store
from experiments.runner.provenance import usable_cores
from experiments.runner.scheduler import WORKER, WorkerProcesses
from pauc_mm.utils.files import only_process_in

FAKE = (sys.executable, str(Path(__file__).with_name('fake_worker.py')))
# Guards against hanging; they decide no test.
LIMIT = 600


def make(name, act='work', seed=0, recipe=None, **options):
    config = recipe or str(Path(__file__).with_name('recipe.py'))
    options = {'seed': seed, 'fake.act': act, **options}
    return ConfigRun(name, {'seed': seed}, config, options)


def order(root):
    path = root / 'order.txt'
    return [line.split() for line in path.read_text().splitlines()]


def run(runs, root, jobs=1):
    """Failures of what the scheduler does with the fake worker."""
    launch = WorkerProcesses(jobs, FAKE)
    return Scheduler(Store(root), jobs, launch).run(runs)


def interrupt_when(monkeypatch, *paths):
    """Press Ctrl-C once these files have content."""
    from experiments.runner import scheduler

    begun = time.monotonic()

    def update(self, shares):
        assert time.monotonic() - begun < LIMIT
        if all(path.is_file() and path.read_text() for path in paths):
            raise KeyboardInterrupt

    monkeypatch.setattr(scheduler._Progress, 'update', update)


def test_finished_runs_are_not_repeated(tmp_path, capsys):
    runs = [make('a'), make('b', seed=1)]
    assert run(runs, tmp_path) == []
    threads = str(usable_cores())
    assert order(tmp_path) == [['a', threads], ['b', threads]]
    assert '[1/2] a: knn/k20 0.5 (2 s)' in capsys.readouterr().err
    assert run([*runs, make('c')], tmp_path, jobs=2) == []
    assert [name for name, _ in order(tmp_path)] == ['a', 'b', 'c']
    assert order(tmp_path)[-1][1] == str(max(1, usable_cores() // 2))
    assert '2 of 3 runs are done already' in capsys.readouterr().err


def test_a_failure_does_not_stop_the_others(tmp_path, capsys):
    runs = [make('bad', 'fail'), make('none', 'nothing'), make('good')]
    failures = run(runs, tmp_path)
    assert [str(f.run) for f in failures] == ['bad', 'none']
    assert failures[0].reason == 'begin\nValueError: it was to fail'
    assert failures[0].log == tmp_path / 'bad' / 'log.txt'
    assert 'bad: FAILED, ValueError: it was' in capsys.readouterr().err
    assert Store(tmp_path).finished(runs[2])
    # It is tried again, the others are not.
    assert len(run(runs, tmp_path)) == 2
    names = [name for name, _ in order(tmp_path)]
    assert names == ['bad', 'none', 'good', 'bad', 'none']


def test_an_interrupt_ends_the_processes(tmp_path, monkeypatch):
    runs = [make('done'), make('a', 'sleep'), make('b', 'sleep')]
    pids = [tmp_path / name / 'pid' for name in 'ab']
    interrupt_when(monkeypatch, *pids)  # both at the same time
    with pytest.raises(KeyboardInterrupt):
        run([*runs, make('later')], tmp_path, jobs=2)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid.read_text()), 0)
    assert {name for name, _ in order(tmp_path)} == {'done', 'a', 'b'}
    # The same again goes on behind what is done.
    monkeypatch.undo()
    runs = [make('done'), make('a'), make('b'), make('later')]
    assert run(runs, tmp_path) == []
    names = [name for name, _ in order(tmp_path)]
    assert names[3:] == ['a', 'b', 'later']


def test_a_changed_config_is_run_again(tmp_path, capsys):
    run([make('a')], tmp_path)
    changed = make('a', lr=0.5)
    store = Store(tmp_path)
    assert store.finished(changed) is None and store.outdated(changed)
    assert run([changed], tmp_path) == []
    assert 'its config has changed' in capsys.readouterr().err
    assert store.finished(changed)
    assert (tmp_path / 'a' / 'result.json.1').is_file()


def test_two_programs_on_one_store_or_run(tmp_path):
    with only_process_in(tmp_path):
        with pytest.raises(RuntimeError, match='Another process'):
            run([make('a')], tmp_path)
    assert not (tmp_path / 'a').exists()
    # A worker that a killed program has left behind
    with only_process_in(tmp_path / 'a'):
        (failure,) = run([make('a')], tmp_path)
    assert 'Another process' in failure.reason
    assert run([make('a')], tmp_path) == []


def test_a_full_disk(tmp_path, monkeypatch):
    usage = namedtuple('usage', 'total used free')
    monkeypatch.setattr(
        shutil, 'disk_usage', lambda path: usage(2**40, 2**40, 5 * 2**20)
    )
    with pytest.raises(OSError, match='Only 5 MB .*--out'):
        run([make('a')], tmp_path)
    assert not (tmp_path / 'order.txt').exists()


def test_wrong_arguments(tmp_path):
    with pytest.raises(ValueError, match='jobs must be at least 1, not 0'):
        Scheduler(Store(tmp_path), 0)
    with pytest.raises(ValueError, match='named a'):
        run([make('a'), make('a', seed=1)], tmp_path)
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / 'result.json').write_text('{"half": ')
    with pytest.raises(ValueError, match='result.json'):
        run([make('a')], tmp_path)


def test_the_command_of_several_gpus():
    assert WorkerProcesses(1).command == list(WORKER)
    launch = WorkerProcesses(1, gpus=8)
    assert launch.command[:3] == [
        sys.executable,
        '-m',
        'torch.distributed.run',
    ]
    assert {'--standalone', '--nproc_per_node=8'} <= set(launch.command)
    assert launch.command[-2:] == ['-m', 'experiments.runner.worker']
    with pytest.raises(ValueError, match='gpus=0'):
        WorkerProcesses(1, gpus=0)
