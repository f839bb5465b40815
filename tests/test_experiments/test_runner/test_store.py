# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import json

import pytest

from experiments.runner import Store, read_results, write_results
from tests.test_experiments.test_runner.made_results import made_result
from tests.test_experiments.test_runner.test_scheduler import make


def write(path, results):
    path.write_text(json.dumps([result.to_dict() for result in results]))
    return path


def test_known_results_are_taken_where_the_store_has_none(tmp_path):
    a, b, c = make('a'), make('b'), make('c')
    mine = made_result(b, dict(x=7.0))
    known = [made_result(a, dict(x=1.0)), made_result(b, dict(x=2.0))]
    known.append(made_result(c, {}, digest='of another config'))
    path = write(tmp_path / 'known.json', known)
    store = Store(tmp_path / 'runs')
    store.root.mkdir()
    folder = store.folder(b)
    folder.prepare(b.digest())
    (folder.path / 'result.json').write_text(json.dumps(mine.to_dict()))
    assert store.take_known(path, [a, b, c, make('d')]) == (1, 1)
    assert store.finished(a) == known[0]
    assert store.finished(b) == mine  # what the store has is not replaced
    results, gaps = store.results_and_gaps([a, b, c])
    assert results == [known[0], mine]
    assert gaps == ['c: not run, or failed']


@pytest.mark.parametrize(
    'content', ['', '[{"cell": 3}]', '{"a": 1}', '[{"format": 2}]', '[3]']
)
def test_a_file_without_results_is_refused(tmp_path, content):
    path = tmp_path / 'known.json'
    path.write_text(content)
    with pytest.raises(ValueError, match='--known .*known.json'):
        read_results(path)
    with pytest.raises(FileNotFoundError, match='missing.json'):
        read_results(tmp_path / 'missing.json')


def test_results_are_one_run_a_line(tmp_path):
    path = tmp_path / 'results.json'
    results = [made_result(make(name), dict(x=1.0)) for name in 'ab']
    write_results(path, results)
    first, *runs, last = path.read_text().splitlines()
    assert (first, len(runs), last) == ('[', 2, ']')
    assert read_results(path) == results
    write_results(path, [])
    assert read_results(path) == []


def test_work_of_another_digest_is_kept_aside(tmp_path):
    folder = Store(tmp_path).folder(make('a'))
    for number, digest in enumerate(('first', 'second', 'third')):
        folder.prepare(digest)
        assert folder.state() == dict(digest=digest)
        left = [p.name for p in folder.path.glob('*.pth')]
        assert left == []
        (folder.path / f'epoch_{number}.pth').touch()
        folder.prepare(digest)  # the same is resumed
        assert (folder.path / f'epoch_{number}.pth').is_file()
    assert (folder.path / 'replaced.1' / 'epoch_0.pth').is_file()
    assert (folder.path / 'replaced.2' / 'epoch_1.pth').is_file()


def test_a_discarded_run_is_repeated_and_kept_aside(tmp_path):
    run = make('a')
    folder = Store(tmp_path).folder(run)
    folder.discard()
    assert not folder.path.exists()
    folder.prepare(run.digest())
    (folder.path / 'epoch_1.pth').touch()
    text = json.dumps(made_result(run, {}).to_dict())
    (folder.path / 'result.json').write_text(text)
    folder.discard()
    folder.prepare(run.digest())
    assert folder.result() is None
    assert (folder.path / 'result.json.1').read_text() == text
    assert (folder.path / 'replaced.1' / 'epoch_1.pth').is_file()


def test_nothing_to_report(tmp_path):
    run = make('a')
    with pytest.raises(ValueError, match='a: not run, or failed'):
        Store(tmp_path).results_and_gaps([run])
    folder = Store(tmp_path).folder(run)
    folder.prepare('x')
    lost = made_result(run, {}, diverged='a weight is NaN')
    (folder.path / 'result.json').write_text(json.dumps(lost.to_dict()))
    with pytest.raises(ValueError, match='a: its training diverged'):
        Store(tmp_path).results_and_gaps([run])
    old = {**lost.to_dict(), 'digest': 'x'}
    (folder.path / 'result.json').write_text(json.dumps(old))
    with pytest.raises(ValueError, match='a: its config has changed'):
        Store(tmp_path).results_and_gaps([run])
