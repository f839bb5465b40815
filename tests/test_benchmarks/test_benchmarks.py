# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Benchmarks run and print their tables; timings are not judged."""

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / 'benchmarks'
QUICK = ('--small', '--device', 'cpu', '--threads', '1')


def run(name, *options):
    """Run a benchmark and return its tables, as in --out."""
    out = options[options.index('--out') + 1]
    result = subprocess.run(
        [sys.executable, str(BENCHMARKS / f'{name}.py'), *QUICK, *options],
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    record = json.loads(Path(out).read_text())
    lines = result.stdout.splitlines()
    assert lines[0] == f'## {record["title"]}'
    for fact in ('CPU', 'torch', 'faiss', 'threads 1', 'device cpu'):
        assert fact in lines[2]
    # Nothing but Markdown: headings, paragraphs, tables.
    tables = [line for line in lines if line.startswith('|')]
    assert len(tables) == sum(len(t['rows']) + 2 for t in record['tables'])
    for table in record['tables']:
        for row in table['rows']:
            assert len(row) == len(table['header'])
            for cell in row:
                if isinstance(cell, float):
                    assert math.isfinite(cell) and cell >= 0
    text = result.stdout + Path(out).read_text()
    assert str(ROOT) not in text and str(Path.home()) + '/' not in text
    return record['tables']


def names(table):
    return [row[0] for row in table['rows']]


def column(table, name):
    return [row[table['header'].index(name)] for row in table['rows']]


def check_seconds(table, rounds):
    assert list(table['seconds']) == names(table)
    for samples in table['seconds'].values():
        assert len(samples) == rounds and min(samples) > 0


@pytest.mark.program
def test_post_processing(tmp_path):
    # It raises if the concentrations of the alternatives differ.
    options = ('--repeats', '2', '--out', str(tmp_path / 'a.json'))
    table, aside = run('post_processing', *options)
    check_seconds(table, rounds=2)
    assert column(table, 'times as fast')[0] == 1
    assert min(column(table, 'times as fast')) > 0
    assert names(table)[0] == 'loop over samples'
    assert column(table, 'peak MiB')[0] > 0  # in a process of its own
    assert names(aside)[0].startswith('NMI') and len(names(aside)) == 1


@pytest.mark.program
def test_negatives(tmp_path):
    options = ('--repeats', '2', '--skip-memory', '--out')
    tables = run('negatives', *options, str(tmp_path / 'b.json'))
    assert len(tables) == 2
    for table in tables:
        check_seconds(table, rounds=2)
        assert 'sample_negative_prototypes' in names(table)
        assert 'peak MiB' not in table['header']


@pytest.mark.program
def test_train_step(tmp_path):
    # It raises if the InfoNCE of the methods differs in the first step.
    options = ('--sets', 'in100', '--repeats', '1', '--skip-memory', '--out')
    steps, parts = run('train_step', *options, str(tmp_path / 'd.json'))
    assert names(steps) == ['MoCo', 'PCL', 'PAUC']
    assert column(steps, 'ratio to MoCo')[0] == '1.000'
    check_seconds(steps, rounds=1)
    assert len(names(parts)) == 6
    assert all(ms > 0 for ms in column(parts, 'median ms'))


@pytest.mark.program
def test_e_step_scaling(tmp_path):
    options = ('--repeats', '1', '--out', str(tmp_path / 'f.json'))
    strong, weak, memory = run('e_step_scaling', *options)
    for table, embed, cluster in ((strong, 1, 1), (weak, 2, 4)):
        assert names(table) == ['embed', 'cluster', 'rest', 'total']
        assert column(table, 'work')[:2] == [embed, cluster]
        assert column(table, 'best')[:3] == [2, 2, 1]
        assert all(seconds > 0 for seconds in column(table, '2 processes s'))
    assert names(memory) == ['one', 'strong', 'weak']
    assert all(used > 0 for used in column(memory, 'clusters used'))


@pytest.mark.program
def test_e_step_memory(tmp_path):
    options = ('--processes', '1', '2', '--out', str(tmp_path / 'm.json'))
    tables = run('e_step_memory', *options)
    assert len(tables) == 4
    for table in tables:
        assert 'embed and assemble' in names(table)
        assert max(column(table, 'peak MiB')) > 0
    assert any('k-means' in name for name in names(tables[1]))
    assert 'bank' in names(tables[2])[0]


@pytest.mark.program
def test_kmeans(tmp_path):
    tables = run('kmeans', '--also-once', '--out', str(tmp_path / 'c.json'))
    assert len(tables) == 4
    for table in tables[2:]:
        assert names(table)[2] == 'ShardedKMeans, 2 processes'
        for value in column(table, 'difference'):
            assert abs(float(value.rstrip('%'))) < 0.1
    for table in tables[:2]:
        assert names(table)[0].startswith('official')
        assert column(table, 'difference')[0] == '+0.00%'
        assert len(names(table)) == 4
        # they minimise the same thing, from real embeddings
        objectives = [float(x) for x in column(table, 'objective')]
        assert 0 < min(objectives) and max(objectives) < 2 * min(objectives)


@pytest.mark.program
def test_epoch(tmp_path):
    options = ('--epochs', '1', '--repeats', '1')
    (table,) = run('epoch', *options, '--out', str(tmp_path / 'e.json'))
    assert names(table)[0] == 'MoCo v2 (mmpretrain)'
    assert len(names(table)) == 12
    assert names(table)[-1] == 'PAUC, online mixture'
    check_seconds(table, rounds=1)


@pytest.mark.program
def test_extraction(tmp_path):
    options = ('--repeats', '1', '--out', str(tmp_path / 'x.json'))
    times, cosines = run('extraction', *options)
    check_seconds(times, rounds=1)
    assert min(float(x) for x in column(cosines, 'cosine')) > 0.99


@pytest.mark.program
def test_loading(tmp_path):
    options = ('--repeats', '1', '--out', str(tmp_path / 'l.json'))
    tables = run('loading', *options)
    assert len(tables) == 4
    for core, device in (tables[:2], tables[2:]):
        assert 'recipe, DeviceAugmentation' in names(core)
        assert column(core, 'times as fast')[0] == 1
        assert min(column(core, 'images a second and core')) > 0
        check_seconds(device, rounds=1)


@pytest.mark.program
def test_feature_sources(tmp_path):
    out = str(tmp_path / 's.json')
    (table,) = run('feature_sources', '--out', out)
    assert len(names(table)) == 6
    assert column(table, 'cosine to the first')[0] == '1.000'
    for name in table['header'][2:]:
        assert all(0 <= float(x) <= 1 for x in column(table, name))


@pytest.mark.program
def test_nemd(tmp_path):
    # It raises if our exact costs differ from those of POT.
    options = ('--repeats', '2', '--out', str(tmp_path / 'n.json'))
    tables = run('nemd', *options)
    assert len(tables) == 4
    for times, costs in zip(tables[::2], tables[1::2]):
        check_seconds(times, rounds=2)
        assert float(column(times, 'times as fast')[0]) == 1
        assert "nemd(solver='emd')" in names(times)
        assert names(costs)[0] == "nemd(solver='emd')"
        assert float(column(costs, 'largest difference')[0]) < 1e-6
        bias = [
            float(x.rstrip('%')) for x in column(costs, 'bias of the mean')
        ]
        assert bias[0] == 0 and min(bias[1:]) > 0  # the entropy costs


@pytest.mark.program
def test_unique_prototypes(tmp_path):
    # It raises if the epsilons are not independent.
    tables = run('unique_prototypes', '--out', str(tmp_path / 'u.json'))
    assert len(tables) == 3
    for table in tables:
        check_seconds(table, rounds=1)
        assert '0.025: ' in table['title']
    # The memory of the worst case only, in a process of its own.
    assert tables[0]['title'].startswith('unique (0.025: 100.00%')
    peaks = column(tables[0], 'peak MiB')
    assert peaks[0] == peaks[2] == '-' and peaks[1] > 0
    assert 'peak MiB' not in tables[1]['header'] + tables[2]['header']


@pytest.mark.program
def test_linear_probe(tmp_path):
    tables = run('linear_probe', '--out', str(tmp_path / 'l.json'))
    check_seconds(tables[0], rounds=1)
    assert names(tables[0])[0] == '20 rates at once, one chosen, trained again'
    assert column(tables[0], 'peak MiB')[0] > 0


@pytest.mark.program
def test_online_mixture(tmp_path):
    times, memory = run('online_mixture', '--out', str(tmp_path / 'o.json'))
    assert len(names(times)) == 3
    assert 'OnlineGaussianMixture.update' in names(times)
    assert column(memory, 'an update beyond it')[0] > 0


@pytest.mark.program
def test_diagnosis(tmp_path):
    (table,) = run('diagnosis', '--out', str(tmp_path / 'd.json'))
    assert names(table) == ['k-means', 'measures', 'pictures', 'all']
    seconds = column(table, 'median s')
    assert math.isclose(sum(seconds[:3]), seconds[3])


@pytest.mark.program
def test_detection_ops(tmp_path):
    # It raises if the results of the alternatives differ.
    options = ('--repeats', '2', '--out', str(tmp_path / 'ops.json'))
    tables = run('detection_ops', *options)
    titles = [table['title'] for table in tables]
    assert titles[0] == 'nms of 50 boxes'
    assert [': ' in title for title in titles] == [False, True, True]
    assert 'forward and backward' in titles[2]
    for table in tables:
        check_seconds(table, rounds=2)
        assert "torchvision's" in table['seconds']
        assert float(table['rows'][0][3]) == 1


@pytest.mark.program
def test_detection_step(tmp_path):
    pytest.importorskip('mmdet')
    options = ('--repeats', '1', '--warmup', '0', '--out')
    tables = run('detection_step', *options, str(tmp_path / 'step.json'))
    assert len(tables) == 4
    for steps, operations in (tables[:2], tables[2:]):
        assert operations['title'] == f'{steps["title"]}: the operations'
        assert len(operations['rows']) == 3 * len(steps['rows'])
        for row in operations['rows']:
            assert row[2] > 0  # each of them was called
            assert 0 <= float(row[3].rstrip('%')) < 100


def load(name):
    """Import a module of the benchmarks, which are no package."""
    path = BENCHMARKS / f'{name}.py'
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    # The modules import each other by name, and processes find them by it.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def harness(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield load('_harness')
    for name in set(sys.modules) - before:
        if str(BENCHMARKS) in str(getattr(sys.modules[name], '__file__', '')):
            del sys.modules[name]


@pytest.mark.parametrize(
    'name, options, message',
    [
        ('post_processing', ['--repeats', '0'], 'integer >= 1'),
        ('post_processing', ['--samples', '99999'], 'largest K'),
        ('negatives', ['--threads', 'two'], "not 'two'"),
        ('negatives', ['--out', 'no/such/x.json'], 'no such folder'),
        ('train_step', ['--sets', 'cifar'], 'invalid choice'),
        ('train_step', ['--amp', 'float16'], 'needs a GPU'),
        ('e_step_scaling', ['--processes', '1'], 'must be >= 2'),
        ('e_step_scaling', ['--images', '9'], 'largest of --clusters'),
        ('e_step_memory', ['--images', '1000'], 'largest K'),
        ('e_step_memory', ['--device', 'tpu'], 'invalid choice'),
        ('kmeans', ['--epochs', '1'], 'at least 2'),
        ('epoch', ['--setup', 'vgg'], 'invalid choice'),
        ('nemd', ['--groups', '1'], 'NEMD compares groups'),
        ('nemd', ['--reg', '-1'], '--reg must be > 0'),
        ('unique_prototypes', ['--dim', '0'], 'integer >= 1'),
        ('feature_sources', ['no/such.pth'], 'no checkpoint no/such.pth'),
    ],
)
def test_wrong_options(harness, capsys, monkeypatch, name, options, message):
    monkeypatch.setattr(harness, 'set_threads', lambda threads: None)
    with pytest.raises(SystemExit) as stop:
        load(name).main(['--device', 'cpu', *options])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_no_gpu_is_said(harness, capsys, monkeypatch):
    monkeypatch.setattr(harness.torch.cuda, 'is_available', lambda: False)
    with pytest.raises(SystemExit):
        harness.parse(harness.get_parser('x', 1), ['--device', 'cuda'])
    assert 'torch sees no GPU' in capsys.readouterr().err


def test_alternatives_take_turns(harness):
    calls = []
    timings = harness.interleave(
        {name: lambda name=name: calls.append(name) for name in 'abc'},
        repeats=2,
        warmup=1,
        before=lambda: calls.append('-'),
    )
    assert ''.join(calls) == '-c-a-b' + '-a-b-c' + '-b-c-a'
    assert [len(timings[name].samples) for name in 'abc'] == [2, 2, 2]


def test_interval_of_a_ratio(harness):
    report = load('_report')
    noise = np.random.default_rng(0).uniform(1, 2, size=60)
    exact = harness.Timing(list(1.5 * noise)), harness.Timing(list(noise))
    low, high = report.resampled_ratio(*exact)
    assert low < 1.5 < high
    # All rounds agree on the ratio where the noise is a constant.
    steady = harness.Timing([3.0] * 9), harness.Timing([2.0] * 9)
    assert report.resampled_ratio(*steady) == (1.5, 1.5)


def hold_numbers(count):
    return b'1' * count


def test_peak_memory_sees_what_is_freed_again(harness):
    memory = load('_memory')
    # A hole in the heap, where the allocator keeps what is freed.
    blocks = [bytes(2**16) for _ in range(2**10)]
    del blocks[:-1]
    meter = memory.PeakMeter()
    hold_numbers(2**25)
    assert 2**24 < meter.host() < 2**26
    meter.start()
    assert meter.host() < 2**24


def test_the_script_for_a_gpu_goes_on_where_a_part_fails(
    monkeypatch, tmp_path, capsys
):
    gpu = load('gpu')
    assert sum(limit for limit, _ in gpu.PARTS.values()) <= 600
    for _, line in gpu.PARTS.values():
        file, *_ = line.split()
        assert file == '-m' or (BENCHMARKS / file).is_file()
    parts = dict(fails=(60, '-m no_such_module'), works=(60, '-m this'))
    monkeypatch.setattr(gpu, 'PARTS', parts)
    assert gpu.main(['--out', str(tmp_path / 'new')]) == 1
    printed = capsys.readouterr().out
    assert 'fails: failed, see fails.log' in printed
    assert 'works: done' in printed
    assert 'no_such_module' in (tmp_path / 'new' / 'fails.log').read_text()
    assert 'The Zen' in (tmp_path / 'new' / 'works.md').read_text()


@pytest.mark.program
def test_sharded_kmeans(tmp_path):
    # Both begin and go on alike.
    tables = run('sharded_kmeans', '--out', str(tmp_path / 's.json'))
    for table in tables:
        assert names(table) == ['ShardedKMeans', 'FaissKMeans']
        assert min(column(table, 'seconds')) > 0
        ours, theirs = map(float, column(table, 'objective'))
        assert ours == pytest.approx(theirs, rel=1e-3)
