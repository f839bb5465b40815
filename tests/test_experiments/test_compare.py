# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The comparison of methods from its command line."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from experiments import compare
from experiments.comparison import SUITES
from experiments.comparison.runs import recipe_rate
from experiments.runner import read_results
from tests.test_experiments.test_comparison.helpers import made
from tests.test_experiments.test_runner.made_results import store_results

ROOT = Path(__file__).resolve().parents[2]
RUN_ALL = 'experiments.runner.command_line.run_all'


@pytest.mark.program
def test_a_real_comparison_of_two_epochs(tmp_path, run_program):
    """Three processes: the program and, at the same time, two runs."""
    options = ['--suite', 'small', '--epochs', '2']
    options += ['--data', 'digits', '--methods', 'mocov2', 'pauc']
    options += ['--seeds', '0', '--jobs', '2', '--out', str(tmp_path)]
    printed = run_program('compare', *options)
    text = (tmp_path / 'results.md').read_text()
    assert printed.strip() == text.strip()
    assert (tmp_path / 'figures' / 'results.png').stat().st_size > 10_000
    results = read_results(tmp_path / 'results.json')
    moco, pauc = (result.metrics for result in results)
    assert set(pauc) - set(moco) == {
        'prototypes/own_number',
        'prototypes/own_used',
        *(f'prototypes/own_unique_{e}' for e in (0.025, 0.1, 0.25, 0.5)),
    }
    assert pauc['prototypes/own_number'] == 100
    for name in ('knn', 'knn_train', 'linear', 'shot1', 'shot5', 'shot10'):
        assert 0.1 < pauc[f'accuracy/{name}'] <= 1
    assert results[0].epochs == 2


@pytest.mark.slow
def test_the_report_of_what_is_there(tmp_path, capsys, monkeypatch):
    monkeypatch.delattr(RUN_ALL)
    rates = (0.0133, 0.04, 0.12, 0.36)
    results = [made('mocov2', seed, 0.8 + 0.1 * seed) for seed in range(2)]
    results += [made('pauc', 0, 0.9, rate=rate) for rate in rates]
    lost = made('mocov2', 2, 0.5)
    results.append(replace(lost, metrics={}, diverged='a weight is NaN'))
    store_results(tmp_path, results)
    options = ['--suite', 'small', '--data', 'digits', '--report-only']
    options += ['--methods', 'mocov2', 'pauc', '--out', str(tmp_path)]
    compare.main(options)
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
    compare.main([*options, '--tune', '--seeds', '0', '1'])
    text = capsys.readouterr().out
    assert '**0.0133: 89.0**' in text and '0.36: 89.0' in text
    gaps = next(line for line in text.splitlines() if 'not run' in line)
    assert 'digits_mocov2_lr0.36_seed0' in gaps
    # Compared is the best rate.
    assert 'digits_pauc_lr0.0133_seed1' in gaps
    # Also where no run for tuning is asked for.
    compare.main([*options, '--tune', '--only', 'digits_mocov2_*_seed1'])
    text = capsys.readouterr().out
    assert '| MoCo v2 | 1 ' in text and '| PAUC' not in text.split('## Lea')[0]
    with pytest.raises(SystemExit, match='there is no result in .* to report'):
        compare.main([*options, '--epochs', '3'])


def test_a_report_is_enough_to_go_on_from(tmp_path, capsys, monkeypatch):
    monkeypatch.delattr(RUN_ALL)
    first, second = tmp_path / 'first', tmp_path / 'second'
    results = [made('mocov2', seed, 0.8) for seed in range(3)]
    results += [made('pauc', seed, 0.9) for seed in range(3)]
    store_results(first, results)
    options = ['--suite', 'small', '--data', 'digits', '--report-only']
    options += ['--methods', 'mocov2', 'pauc', '--out']
    compare.main([*options, str(first)])
    known = first / 'results.json'
    again = [*options, str(second), '--known', str(known)]
    store_results(second, [replace(results[4], seconds=7.0)])
    compare.main(again)
    assert '5 results of 6 runs' in capsys.readouterr().err
    expected = read_results(known)
    # What the store has is not replaced.
    expected[4] = replace(expected[4], seconds=7.0)
    assert read_results(second / 'results.json') == expected


def test_a_missing_file_of_results(tmp_path, capsys):
    options = ['--suite', 'small', '--out', str(tmp_path)]
    with pytest.raises(SystemExit) as ended:
        compare.main([*options, '--known', str(tmp_path / 'missing.json')])
    assert ended.value.code == 2
    assert 'missing.json' in capsys.readouterr().err


def tables(text):
    """The tables of a report, and the line before each."""
    return re.findall(r'(.*\n\n(?:\|.*\n)+)', text[text.index('-->') :])


@pytest.mark.slow
@pytest.mark.parametrize(
    'suite, options', [('small', ['--tune']), ('ablations', [])]
)
def test_published_reports_follow_from_the_published_results(
    tmp_path, capsys, suite, options
):
    """Nothing is run, every result is of the config as it is now."""
    report = SUITES[suite].report
    published = (ROOT / 'docs' / report).read_text()
    known = (ROOT / 'docs' / report).with_suffix('.json')
    number = len(read_results(known))
    options += ['--suite', suite, '--known', str(known), '--report-only']
    compare.main([*options, '--out', str(tmp_path), '--docs', str(tmp_path)])
    assert f'{number} results of' in capsys.readouterr().err
    again = (tmp_path / report).read_text()
    assert len(tables(again)) > 8 and tables(again) == tables(published)
    assert read_results(tmp_path / known.name) == read_results(known)


def test_when_all_has_diverged(tmp_path):
    lost = made('pauc', 0, 0.5)
    lost = replace(lost, metrics={}, diverged='a weight is NaN')
    store_results(tmp_path, [lost])
    options = ['--suite', 'small', '--data', 'digits', '--methods', 'pauc']
    options += ['--seeds', '0', '--report-only', '--out', str(tmp_path)]
    with pytest.raises(SystemExit, match='pauc.*_seed0: its training diver'):
        compare.main(options)


def test_the_best_rate_is_compared(tmp_path, monkeypatch):
    """First the rates, then other seeds with the best of them."""
    rates = {0.0133: 0.7, 0.04: 0.8, 0.12: 0.9, 0.36: 0.6}
    ran = []

    def run_all(runs, where, jobs, launch):
        for run in runs:
            if where.finished(run):
                continue
            method, rate, seed = map(
                run.setting.get, ('method', 'rate', 'seed')
            )
            ran.append((method, rate, seed))
            result = made(method, seed, rates.get(rate, 0.5), rate=rate)
            store_results(tmp_path, [result])
        return []

    monkeypatch.setattr(RUN_ALL, run_all)
    options = ['--suite', 'small', '--data', 'digits', '--out', str(tmp_path)]
    options += ['--methods', 'pauc', '--tune']
    compare.main(options)
    tried = [('pauc', rate, 0) for rate in rates]
    assert ran == [*tried, ('pauc', 0.12, 1), ('pauc', 0.12, 2)]
    text = (tmp_path / 'results.md').read_text()
    assert 'was chosen by kNN among the training images, see' in text
    assert '| PAUC   | 3 ' in text
    del ran[:]
    compare.main(options[:-1])  # The recipe's, of which one is there.
    (tuned,) = {rate for _, rate, _ in ran}
    assert tuned == recipe_rate('pauc_mm::pauc/pauc_tiny_digits.py') != 0.12
    assert ran == [('pauc', tuned, 1), ('pauc', tuned, 2)]
    del ran[:]
    only = ['--methods', 'mocov2', '--only', '*lr0.12_seed[02]']
    compare.main([*options, *only])
    assert ran == [('mocov2', 0.12, 0), ('mocov2', 0.12, 2)]


@pytest.mark.slow
def test_only_a_whole_suite_goes_into_the_docs(tmp_path, monkeypatch):
    monkeypatch.setattr(compare, '_DOCS', tmp_path / 'docs')
    out = tmp_path / 'out'
    store_results(out, [made('mocov2', 0, 0.8)])
    options = ['--suite', 'small', '--report-only', '--out', str(out)]
    compare.main([*options, '--data', 'digits'])
    assert not (tmp_path / 'docs').exists()
    assert (out / 'results.md').is_file()
    compare.main(options)
    assert (tmp_path / 'docs' / 'results.md').is_file()
    compare.main([*options, '--docs', str(tmp_path / 'mine')])
    assert (tmp_path / 'mine' / 'results.md').is_file()


@pytest.mark.slow
def test_published_results_are_not_lost(tmp_path, monkeypatch, capsys):
    docs, out, less = (tmp_path / name for name in ('docs', 'out', 'less'))
    monkeypatch.setattr(compare, '_DOCS', docs)
    store_results(out, [made('mocov2', seed, 0.8) for seed in range(2)])
    store_results(less, [made('mocov2', 0, 0.9)])
    options = ['--suite', 'small', '--report-only', '--out']
    compare.main([*options, str(out)])
    published = (docs / 'results.md').read_text()
    compare.main([*options, str(less)])
    assert 'has 1 results' in capsys.readouterr().err
    assert (docs / 'results.md').read_text() == published
    assert (less / 'results.md').is_file()
    known = ['--known', str(docs / 'results.json')]
    compare.main([*options, str(less), *known])
    again = (docs / 'results.md').read_text()
    assert again != published  # its own result of seed 0 counts
    assert '--known' not in again and '--report-only' not in again
    assert f'--suite small --out {less}' in again


@pytest.mark.parametrize(
    'options, message',
    [
        (['--suite', 'in22k'], "--suite: 'in22k'"),
        (['--methods', 'dino'], "--methods: 'dino'"),
        (['--data', 'cifar'], "--data: 'cifar'"),
        (['--suite', 'ablations', '--tune'], '--tune'),
        (['--seeds', '3', '3'], '--seeds 3 3'),
        (['--seeds', '-1'], '--seeds: must be >= 0'),
        (['--jobs', '0'], '--jobs: must be >= 1'),
        (['--epochs', '0'], '--epochs: must be >= 1'),
        (['--gpus', '2'], '--gpus 2'),
        (['--only', 'x*'], "--only 'x*' matches none of the 66"),
        (['--out', '{file}/x'], '--out'),
    ],
)
def test_wrong_options_end_the_program(tmp_path, capsys, options, message):
    file = tmp_path / 'file'
    file.write_text('x')
    options = [option.format(file=file) for option in options]
    if '--out' not in options:
        options += ['--out', str(tmp_path / 'out')]
    with pytest.raises(SystemExit) as ended:
        compare.main(['--suite', 'small', *options])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    'gpus, options, message',
    [
        (0, [], '--suite in100'),
        (4, [], 'give --gpus 4'),
        (4, ['--gpus', '0'], '--gpus: must be >= 1'),
        (4, ['--gpus', '3'], '--gpus 3: the 256 images'),
        (4, ['--gpus', '4', '--jobs', '2'], '--jobs 2'),
        (4, ['--gpus', '4'], 'data/imagenet'),
        (4, ['--gpus', '4', '--tune'], '--tune'),
    ],
)
def test_suites_for_gpus_say_what_is_missing(
    tmp_path, capsys, monkeypatch, gpus, options, message
):
    monkeypatch.setattr('torch.cuda.device_count', lambda: gpus)
    monkeypatch.delenv('IMAGENET_ROOT', raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        compare.main(['--suite', 'in100', *options])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_the_help_names_every_suite_and_method(capsys):
    with pytest.raises(SystemExit) as ended:
        compare.main(['--help'])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for name, suite in SUITES.items():
        assert f'{name}: {suite.title}' in text
        assert all(method in text for method in suite.methods)
