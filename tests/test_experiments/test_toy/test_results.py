# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from experiments.toy import Run, schedule
from experiments.toy.experiment import describe
from experiments.toy.results import Results
from experiments.toy.schedule import perform_all
from tests.test_experiments.test_toy.helpers import TINY

RUN = Run('pcl', 3, 0)
MEASURES = dict(nemd_classes=1.25, uniformity=-1.0, void=0.5, knn=0.75)


def record_of(run, settings, **more):
    return dict(
        **asdict(run),
        measures=dict(MEASURES, **more),
        seconds=dict(train=0.1, measure=0.1),
        **describe(run, settings),
    )


def angles(value=0.5):
    return np.full(4, value, dtype=np.float32)


@pytest.fixture
def made(monkeypatch):
    """Runs that were really performed."""
    runs = []

    def perform(run, settings):
        runs.append(run)
        if run.method == 'moco':
            raise RuntimeError('the loss is not finite')
        return record_of(run, settings), angles()

    monkeypatch.setattr(schedule, 'perform', perform)
    return runs


def test_what_is_written_is_read(tmp_path):
    results = Results(tmp_path / 'new' / 'folder')
    results.add(RUN, record_of(RUN, TINY), angles(0.25))
    again = Results(tmp_path / 'new' / 'folder')
    assert again.records == results.records
    assert again.records[RUN]['measures'] == MEASURES
    assert np.array_equal(again.angles(RUN), angles(0.25))
    assert [p.name for p in again.folder.iterdir() if p.is_file()] == [
        'toy_blobs.json'
    ]


def test_a_run_is_there_only_with_the_same_settings_and_its_angles(tmp_path):
    results = Results(tmp_path)
    assert not results.has(RUN, TINY)
    results.add(RUN, record_of(RUN, TINY), angles())
    results = Results(tmp_path)
    assert results.has(RUN, TINY)
    assert not results.has(RUN, replace(TINY, noise=0.2))
    for other in (Run('pcl', 4, 0), Run('pcl', 3, 1), Run('moco', 3, 0)):
        assert not results.has(other, TINY)
    results.angles_path(RUN).unlink()
    assert not results.has(RUN, TINY)


def test_a_method_that_was_changed_is_run_again(tmp_path):
    results = Results(tmp_path)
    record = record_of(RUN, TINY)
    record['model'] = dict(record['model'], num_clusters=[3])
    results.add(RUN, record, angles())
    assert not results.has(RUN, TINY)


def test_what_is_there_is_not_run_again(tmp_path, made):
    runs = [RUN, Run('pcl', 4, 0)]
    lines = []
    assert perform_all(runs, TINY, Results(tmp_path), say=lines.append) == 2
    assert made == runs[::-1]  # the long one first
    assert len(lines) == 2 and lines[0].startswith('[1/2')
    assert 'PCL, 4 classes, seed 0: NEMD 1.250' in lines[0]
    runs.append(Run('pcl', 3, 1))
    lines.clear()
    assert perform_all(runs, TINY, Results(tmp_path), say=lines.append) == 1
    assert made[2:] == runs[2:]
    assert lines[0].startswith('2 of 3 runs are in')
    assert perform_all(runs, TINY, Results(tmp_path), say=lines.append) == 0
    again = Results(tmp_path)
    assert perform_all(runs, TINY, again, force=True, say=lines.append) == 3
    assert len(made) == 6 and len(Results(tmp_path).records) == 3


def test_a_run_that_fails_is_named_and_those_before_it_are_kept(
    tmp_path, made
):
    runs = [Run('moco', 3, 0), Run('pcl', 4, 0)]
    with pytest.raises(
        RuntimeError, match=r'^MoCo .*3 classes, seed 0: the loss is not'
    ):
        perform_all(runs, TINY, Results(tmp_path), say=lambda line: None)
    assert list(Results(tmp_path).records) == [Run('pcl', 4, 0)]


def test_processes_give_what_one_process_gives(tmp_path):
    runs = [Run('pcl', 3, seed) for seed in (0, 1)]
    lines = []
    for jobs in (1, 2):
        results = Results(tmp_path / str(jobs))
        perform_all(runs, TINY, results, jobs, say=lines.append)
    assert len(lines) == 4
    one, two = (Results(tmp_path / str(jobs)) for jobs in (1, 2))
    for run in runs:
        assert one.records[run]['measures'] == two.records[run]['measures']
        assert np.array_equal(one.angles(run), two.angles(run))


@pytest.mark.parametrize('jobs', [0, -1, 1.5])
def test_wrong_numbers_of_jobs_are_refused(tmp_path, jobs):
    with pytest.raises(ValueError, match=f'jobs must be .*not {jobs}'):
        perform_all([RUN], TINY, Results(tmp_path), jobs)


@pytest.mark.parametrize('inside', ['', 'deeper'])
def test_a_file_in_place_of_the_folder_is_refused(tmp_path, inside):
    path = tmp_path / 'file'
    path.write_text('x')
    with pytest.raises(NotADirectoryError, match='is a file: name another'):
        Results(path / inside)


@pytest.mark.parametrize(
    'text',
    [
        '{',
        '[]',
        '{"format": 99, "runs": []}',
        '{"format": 1, "runs": [{"method": "pcl"}]}',
    ],
)
def test_a_broken_file_of_results_is_refused(tmp_path, text):
    (tmp_path / 'toy_blobs.json').write_text(text)
    with pytest.raises(ValueError, match='does not hold results .*Remove it'):
        Results(tmp_path)


def test_records_of_unknown_methods_are_kept(tmp_path):
    results = Results(tmp_path)
    results.add(RUN, record_of(RUN, TINY), angles())
    stored = json.loads(results.path.read_text())
    stored['runs'][0]['method'] = 'gone'
    results.path.write_text(json.dumps(stored))
    again = Results(tmp_path)
    again.add(RUN, record_of(RUN, TINY), angles())
    methods = [r['method'] for r in json.loads(again.path.read_text())['runs']]
    assert methods == ['gone', 'pcl']
