# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Tables and pictures of hand-made results."""

import numpy as np
import pytest
from PIL import Image

from experiments.decoupled import METHODS, group, study_runs
from experiments.decoupled.plots import plot_end, plot_over_training
from experiments.decoupled.report import study_report, study_table
from experiments.decoupled.results import KNN, UNIQUE, UNIQUE_USED, USED
from experiments.runner import ConfigRun
from tests.test_experiments.test_decoupled.helpers import made_study


@pytest.fixture(scope='module')
def grouped():
    return group(made_study())


def rows(text):
    table = [line for line in text.splitlines() if line.startswith('|')]
    return [[c.strip() for c in line.split('|')[1:-1]] for line in table]


def test_unique_shares_and_their_differences(grouped):
    header, _, *body = rows(study_table(grouped, UNIQUE))
    assert header[:4] == ['data', 'training set', 'method', 'seeds']
    assert header[4:] == ['0.025', '0.1', '0.25', '0.5']
    # 10, 20, 30 per cent; three quarters, a half, a quarter of that
    assert body[0] == [
        'digits',
        'balanced',
        'joint CARP',
        '3',
        '20.0 ± 10.0',
        '15.0 ± 7.5',
        '10.0 ± 5.0',
        '5.0 ± 2.5',
    ]
    # 100, 100, 97: mean 99, deviation the root of 6/2
    assert body[1][4] == '99.0 ± 1.7'
    # Differences 90, 80, 67: mean 79, squares 121 + 1 + 144 = 266 over 2 and
    # then 3, of which the root is 6.66
    assert body[2][2] == 'decoupled CARP - joint CARP'
    assert body[2][3:5] == ['3', '+79.0 ± 6.7']
    assert body[3][:5] == ['digits', 'long-tailed', 'joint CARP', '1', '50.0']
    assert body[5][3:5] == ['1', '+0.0']


def test_use(grouped):
    header, _, *body = rows(study_table(grouped, USED))
    assert header[4:] == ['used', 'used, %', 'perplexity']
    assert body[0][4:] == ['400 ± 0', '40.0 ± 0.0', '200.0 ± 0.0']
    assert body[2][4:] == ['+100 ± 0', '+10.0 ± 0.0', '+50.0 ± 0.0']
    _, _, *body = rows(study_table(grouped, UNIQUE_USED))
    assert body[0][4] == '40.0 ± 20.0'


def test_accuracy_of_all_and_of_groups(grouped):
    header, _, *body = rows(study_table(grouped, KNN))
    assert header[4:] == ['all', 'head', 'middle', 'tail']
    assert body[0][4:] == ['82.0 ± 2.0', '-', '-', '-']
    # Differences 1, 2, 6: mean 3, error the root of 7/3
    assert body[2][4:] == ['+3.0 ± 1.5', '-', '-', '-']
    assert body[4][4:] == ['60.0', '80.0', '60.0', '40.0']


def test_the_report_says_with_what_it_was_made(grouped):
    text = study_report(grouped, 'python x.py --seeds 0', ['a: not run'])
    assert '```bash\npython x.py --seeds 0\n```' in text
    assert (
        '`pauc_mm::carp/carp_decoupled_tiny_digits_lt.py`, 10 epochs' in text
    )
    assert '559 images, 1000 prototypes, config ' in text
    assert '2026-11-20 to 2026-11-22; 8 runs, 13 min in all' in text
    assert 'Some CPU, 2 cores (1 a run)' in text
    assert 'python 3.11.1, torch 2.14.1' in text
    assert '## Not in the tables\n\n- a: not run' in text
    assert text.count('| joint CARP ') == 4 * 2


def test_a_setting_that_is_not_run_by_default():
    (run,) = study_runs(['digits'], ['balanced'], ['joint-lr0.5'], [3])
    assert run.name == 'digits-balanced_joint-lr0.5_seed3'
    cfg = run.load()
    assert cfg.optim_wrapper.optimizer.lr == 0.5
    assert cfg.randomness.seed == 3
    from tests.test_experiments.test_decoupled.helpers import made_result

    text = study_report(group([made_result(run, 1, 1, 1)]), 'x')
    assert 'with `optim_wrapper.optimizer.lr=0.5`' in text
    assert ' - joint' not in text


def test_runs_are_named_after_their_setting():
    runs = study_runs(
        ['digits', 'mnist'],
        ['balanced', 'long-tailed'],
        list(METHODS),
        [0, 1],
        epochs=2,
    )
    assert len(runs) == len({r.name for r in runs}) == 8 * len(METHODS)
    half = len(runs) // 2
    assert [run.setting['seed'] for run in runs[:half]] == [0] * half
    for run in runs:
        setting, cfg = run.setting, run.load()
        dataset = cfg.train_dataloader.dataset
        kind = dict(digits='SklearnDigits', mnist='MlxtendMNIST')
        assert dataset.type == kind[setting['data']]
        assert ('imbalance' in dataset) == (setting['tail'] == 'long-tailed')
        assert cfg.model.type == 'CARP'
        decoupled = 'prototypes' in cfg.model
        assert decoupled == setting['method'].startswith('decoupled')
        assert cfg.default_hooks.unique_shares.type == 'UniqueSharesHook'
        assert cfg.train_cfg.max_epochs == 2 and '_2ep_' in run.name
        assert cfg.randomness.seed == setting['seed']
        metric = cfg.val_evaluator[0]
        assert metric.type == 'KNNAccuracy' and 20 in metric.k


@pytest.mark.parametrize('recipe', ['carp', 'carp_decoupled'])
@pytest.mark.parametrize('data', ['digits', 'mnist'])
def test_long_tails_differ_in_the_data_alone(recipe, data):
    whole, tail = (
        ConfigRun(
            'a', {}, f'pauc_mm::carp/{recipe}_tiny_{data}{end}.py'
        ).load()
        for end in ('', '_lt')
    )
    assert tail.model == whole.model
    assert tail.optim_wrapper == whole.optim_wrapper
    for cfg in (whole, tail):
        (scheduler,) = cfg.param_scheduler
        assert scheduler.T_max == scheduler.end == cfg.train_cfg.max_epochs


@pytest.mark.slow
@pytest.mark.parametrize('plot', [plot_over_training, plot_end])
def test_both_methods_are_drawn(grouped, plot, tmp_path):
    path = plot(grouped, tmp_path / 'new' / 'picture.png')
    picture = np.asarray(Image.open(path).convert('RGB')).astype(int)
    for colour in ((0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)):
        near = np.abs(picture - colour).max(axis=2) < 40
        assert near.sum() > 300, colour
    # A part of a study has pictures as well.
    part = {key: grouped[key] for key in list(grouped)[1:]}
    part = {key: {'joint': own['joint']} for key, own in part.items()}
    assert plot(part, tmp_path / 'part.png').is_file()
