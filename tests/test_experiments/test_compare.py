# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The comparison of methods from its command line."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.comparison import SUITES, comparison_cells
from experiments.comparison.cells import recipe_rate
from experiments.runner import Store, take_known
from experiments.runner.cell_folder import RESULT_KEYS
from tests.test_experiments.test_comparison.helpers import SMALL, made

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'benchmarks' / 'compare.py'


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('compare', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def store(out, results):
    for result in results:
        folder = out / 'cells' / result['cell']['name']
        folder.mkdir(parents=True)
        (folder / 'result.json').write_text(json.dumps(result))


def test_a_real_comparison_of_two_epochs(tmp_path):
    """Three processes: the program and, at the same time, two cells."""
    command = [sys.executable, str(TOOL), '--suite', 'small', '--epochs', '2']
    command += ['--data', 'digits', '--methods', 'mocov2', 'pauc']
    command += ['--seeds', '0', '--jobs', '2', '--out', str(tmp_path)]
    done = subprocess.run(
        command,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    text = (tmp_path / 'results.md').read_text()
    assert done.stdout.strip() == text.strip()
    assert (tmp_path / 'figures' / 'results.png').stat().st_size > 10_000
    results = json.loads((tmp_path / 'results.json').read_text())
    moco, pauc = (result['figures'] for result in results)
    assert set(pauc) - set(moco) == {
        'prototypes/own_number',
        'prototypes/own_used',
        *(f'prototypes/own_unique_{e}' for e in (0.025, 0.1, 0.25, 0.5)),
    }
    assert pauc['prototypes/own_number'] == 100
    for name in ('knn', 'knn_train', 'linear', 'shot1', 'shot5', 'shot10'):
        assert 0.1 < pauc[f'accuracy/{name}'] <= 1
    assert results[0]['epochs'] == 2
    assert all(set(result) >= RESULT_KEYS for result in results)


def test_the_report_of_what_is_there(tool, tmp_path, capsys, monkeypatch):
    monkeypatch.delattr('experiments.runner.run_and_report.run_all')
    rates = (0.0133, 0.04, 0.12, 0.36)
    results = [made('mocov2', seed, 0.8 + 0.1 * seed) for seed in range(2)]
    results += [made('pauc', 0, 0.9, rate=rate) for rate in rates]
    lost = made('mocov2', 2, 0.5)
    results.append(dict(lost, figures={}, diverged='a weight is NaN'))
    store(tmp_path, results)
    options = ['--suite', 'small', '--data', 'digits', '--report-only']
    options += ['--methods', 'mocov2', 'pauc', '--out', str(tmp_path)]
    tool.main(options)
    text = capsys.readouterr().out
    assert '85.0 ± 7.1' in text
    both = 'digits_pauc_lr0.04_seed1, digits_pauc_lr0.04_seed2'
    assert f'- {both}: not run, or failed' in text
    assert '- digits_mocov2_lr0.04_seed2: its training diverged' in text
    # What has been tuned is told, also without --tune; gaps are not.
    assert '**0.0133: 89.0**' in text and 'mocov2_lr0.36' not in text
    assert '--report-only' not in text
    assert "Learning rates are the recipes'" in text
    assert 'digits_mocov2_lr0.04_seed0' not in text
    tool.main([*options, '--tune', '--seeds', '0', '1'])
    text = capsys.readouterr().out
    assert '**0.0133: 89.0**' in text and '0.36: 89.0' in text
    gaps = next(line for line in text.splitlines() if 'not run' in line)
    assert 'digits_mocov2_lr0.36_seed0' in gaps
    # Compared is the best rate.
    assert 'digits_pauc_lr0.0133_seed1' in gaps
    # Also where none of the cells for tuning is asked for.
    tool.main([*options, '--tune', '--only', 'digits_mocov2_*_seed1'])
    text = capsys.readouterr().out
    assert '| MoCo v2 | 1 ' in text and '| PAUC' not in text.split('## Lea')[0]
    with pytest.raises(SystemExit, match='there is no result in .* to report'):
        tool.main([*options, '--epochs', '3'])


def test_a_report_is_enough_to_go_on_from(tool, tmp_path, capsys, monkeypatch):
    monkeypatch.delattr('experiments.runner.run_and_report.run_all')
    first, second = tmp_path / 'first', tmp_path / 'second'
    results = [made('mocov2', seed, 0.8) for seed in range(3)]
    results += [made('pauc', seed, 0.9) for seed in range(3)]
    store(first, results)
    options = ['--suite', 'small', '--data', 'digits', '--report-only']
    options += ['--methods', 'mocov2', 'pauc', '--out']
    tool.main([*options, str(first)])
    known = first / 'results.json'
    again = [*options, str(second), '--known', str(known)]
    store(second, [dict(results[4], seconds=7.0)])
    tool.main(again)
    assert '5 results of 6 cells were taken' in capsys.readouterr().err
    made_again = json.loads((second / 'results.json').read_text())
    expected = json.loads(known.read_text())
    expected[4]['seconds'] = 7.0  # what the store has is not replaced
    assert made_again == expected


def test_known_results_of_another_config_are_not_taken(
    tool, tmp_path, capsys, monkeypatch
):
    monkeypatch.delattr('experiments.runner.run_and_report.run_all')
    known = tmp_path / 'known.json'
    other = dict(made('pauc', 0, 0.9), digest='of another config')
    known.write_text(json.dumps([made('mocov2', 0, 0.8), other]))
    options = ['--suite', 'small', '--data', 'digits', '--report-only']
    options += ['--methods', 'mocov2', 'pauc', '--out', str(tmp_path)]
    tool.main([*options, '--known', str(known)])
    out, err = capsys.readouterr()
    assert '1 results of 6 cells' in err and '1 were not' in err
    assert 'digits_pauc_lr0.04_seed0' in out[out.index('not run') - 200 :]


@pytest.mark.parametrize(
    'content', ['', '[{"cell": 3}]', '{"a": 1}', '[{"cell": {"name": "a"}}]']
)
def test_a_file_without_results(tool, tmp_path, capsys, content):
    known = tmp_path / 'known.json'
    known.write_text(content)
    options = ['--suite', 'small', '--out', str(tmp_path)]
    with pytest.raises(SystemExit) as ended:
        tool.main([*options, '--known', str(known)])
    assert ended.value.code == 2
    assert 'does not have results of cells' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        tool.main([*options, '--known', str(tmp_path / 'missing.json')])
    assert "missing.json': there is no such file" in capsys.readouterr().err


def test_published_results_are_of_the_configs_as_they_are(tool, tmp_path):
    """Else a report is of something that can no longer be run."""
    for suite, name in (('small', 'results'), ('ablations', 'ablations')):
        known = ROOT / 'docs' / f'{name}.json'
        number = len(json.loads(known.read_text()))
        args = tool.get_parser().parse_args(['--suite', suite, '--tune'])
        found = SUITES[suite]
        args.seeds, args.gpus = list(found.seeds), 1
        args.data, args.methods = list(found.data), list(found.methods)
        args.tune = found.tuned
        cells = tool.possible_cells(args, found)
        store = Store(tmp_path / suite)
        assert take_known(known, cells, store) == (number, 0)


def test_when_all_has_diverged(tool, tmp_path):
    lost = dict(made('pauc', 0, 0.5), figures={}, diverged='a weight is NaN')
    store(tmp_path, [lost])
    options = ['--suite', 'small', '--data', 'digits', '--methods', 'pauc']
    options += ['--seeds', '0', '--report-only', '--out', str(tmp_path)]
    with pytest.raises(SystemExit, match='pauc.*_seed0: its training diver'):
        tool.main(options)


def test_the_best_rate_is_compared(tool, tmp_path, monkeypatch):
    """First the rates, then other seeds with the best of them."""
    rates = {0.0133: 0.7, 0.04: 0.8, 0.12: 0.9, 0.36: 0.6}
    ran = []

    def run_all(cells, where, jobs, worker):
        for cell in cells:
            if where.finished(cell):
                continue
            place = cell.place
            ran.append((place['method'], place['rate'], place['seed']))
            knn = rates.get(place['rate'], 0.5)
            result = made(
                place['method'], place['seed'], knn, 'digits', place['rate']
            )
            store(tmp_path, [result])
        return []

    monkeypatch.setattr('experiments.runner.run_and_report.run_all', run_all)
    options = ['--suite', 'small', '--data', 'digits', '--out', str(tmp_path)]
    options += ['--methods', 'pauc', '--tune']
    tool.main(options)
    tried = [('pauc', rate, 0) for rate in rates]
    assert ran == [*tried, ('pauc', 0.12, 1), ('pauc', 0.12, 2)]
    text = (tmp_path / 'results.md').read_text()
    assert 'was chosen by kNN among the training images, see' in text
    assert '| PAUC   | 3 ' in text
    del ran[:]
    tool.main(options[:-1])  # The recipe's, of which one is there.
    (tuned,) = {rate for _, rate, _ in ran}
    assert tuned == recipe_rate('pauc_mm::pauc/pauc_tiny_digits.py') != 0.12
    assert ran == [('pauc', tuned, 1), ('pauc', tuned, 2)]
    del ran[:]
    only = ['--methods', 'mocov2', '--only', '*lr0.12_seed[02]']
    tool.main([*options, *only])
    assert ran == [('mocov2', 0.12, 0), ('mocov2', 0.12, 2)]


def test_only_a_whole_suite_goes_into_the_docs(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, '_DOCS', tmp_path / 'docs')
    out = tmp_path / 'out'
    store(out, [made('mocov2', 0, 0.8)])
    options = ['--suite', 'small', '--report-only', '--out', str(out)]
    tool.main([*options, '--data', 'digits'])
    assert not (tmp_path / 'docs').exists()
    assert (out / 'results.md').is_file()
    tool.main(options)
    assert (tmp_path / 'docs' / 'results.md').is_file()
    tool.main([*options, '--docs', str(tmp_path / 'mine')])
    assert (tmp_path / 'mine' / 'results.md').is_file()


def test_published_results_are_not_lost(tool, tmp_path, monkeypatch, capsys):
    docs, out, less = (tmp_path / name for name in ('docs', 'out', 'less'))
    monkeypatch.setattr(tool, '_DOCS', docs)
    store(out, [made('mocov2', seed, 0.8) for seed in range(2)])
    store(less, [made('mocov2', 0, 0.9)])
    options = ['--suite', 'small', '--report-only', '--out']
    tool.main([*options, str(out)])
    published = (docs / 'results.md').read_text()
    tool.main([*options, str(less)])
    assert 'has 1 results which are not here' in capsys.readouterr().err
    assert (docs / 'results.md').read_text() == published
    assert (less / 'results.md').is_file()
    known = ['--known', str(docs / 'results.json')]
    tool.main([*options, str(less), *known])
    again = (docs / 'results.md').read_text()
    assert again != published  # its own result of seed 0 counts
    assert '--known' not in again and '--report-only' not in again
    assert f'--suite small --out {less}' in again


@pytest.mark.parametrize(
    'options, message',
    [
        (['--suite', 'in22k'], "--suite: 'in22k' is unknown: choose from"),
        (['--methods', 'dino'], "--methods: 'dino' is unknown: choose from"),
        (['--data', 'cifar'], "--data: 'cifar' is unknown: choose from dig"),
        (['--suite', 'ablations', '--tune'], "--tune: 'Ablations of PAUC'"),
        (['--seeds', '3', '3'], '--seeds [3, 3] names one twice'),
        (['--jobs', '0'], '--jobs must be at least 1, not 0'),
        (['--gpus', '2'], '--gpus 2: the cells of --suite small run in one'),
        (['--only', 'x*'], "--only 'x*' matches none of the 66 cells"),
        (['--out', '{file}/x'], 'cannot be written: Not a directory. Name'),
    ],
)
def test_wrong_options_end_the_program(
    tool, tmp_path, capsys, options, message
):
    file = tmp_path / 'file'
    file.write_text('x')
    options = [option.format(file=file) for option in options]
    if '--out' not in options:
        options += ['--out', str(tmp_path / 'out')]
    with pytest.raises(SystemExit) as ended:
        tool.main(['--suite', 'small', *options])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    'gpus, options, message',
    [
        (0, [], 'trains ResNet-50 on GPUs, and this machine has none'),
        (4, [], '--gpus 8, but this machine has 4: give --gpus 4'),
        (4, ['--gpus', '0'], '--gpus must be at least 1, not 0'),
        (
            4,
            ['--gpus', '3'],
            '256 images of a step of pauc_mm::mocov2/mocov2_',
        ),
        (4, ['--gpus', '4', '--jobs', '2'], 'takes all GPUs: leave it out'),
        (4, ['--gpus', '4'], "there is no folder 'data/imagenet"),
        (4, ['--gpus', '4', '--tune'], "--tune: 'Methods compared on Image"),
    ],
)
def test_suites_for_gpus_say_what_is_missing(
    tool, tmp_path, capsys, monkeypatch, gpus, options, message
):
    monkeypatch.setattr('torch.cuda.device_count', lambda: gpus)
    monkeypatch.delenv('IMAGENET_ROOT', raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        tool.main(['--suite', 'in100', *options])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_changed_config_is_run_again_and_the_old_result_kept(
    tool, tmp_path, monkeypatch
):
    (cell,) = comparison_cells(SMALL, ['digits'], ['mocov2'], [0])
    store(tmp_path, [{**made('mocov2', 0, 0.8), 'digest': 'old'}])
    said = []

    def run_all(cells, opened, jobs, worker):
        assert [c.name for c in cells] == [cell.name]
        folder = opened.folder(cell)
        assert opened.outdated(cell)
        folder.prepare(made('mocov2', 0, 0.8)['digest'])
        said.append(sorted(p.name for p in folder.path.iterdir()))
        return []

    monkeypatch.setattr('experiments.runner.run_and_report.run_all', run_all)
    options = ['--data', 'digits', '--methods', 'mocov2', '--seeds', '0']
    with pytest.raises(SystemExit, match='there is no result'):
        tool.main(['--suite', 'small', *options, '--out', str(tmp_path)])
    assert said == [['result.json.1', 'state.json']]


def test_the_help_names_every_suite_and_method(tool, capsys):
    with pytest.raises(SystemExit) as ended:
        tool.main(['--help'])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for name, suite in SUITES.items():
        assert f'{name}: {suite.title}' in text
        assert all(method in text for method in suite.methods)
