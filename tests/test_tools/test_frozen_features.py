# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The tools on frozen features, from their command lines."""

import json

import pytest

from pauc_mm.apis import evaluate
from tests.test_transfer.conftest import (  # noqa: F401
    checkpoint,
    digits_config,
    folders,
    voc,
)

NAMES = ('linear_probe', 'low_shot_svm', 'knn')


@pytest.fixture
def tool(checkpoint, tmp_path_factory, tmp_path, capsys):  # noqa: F811
    """Runs a tool; its result, as printed and as written."""
    cache = tmp_path_factory.getbasetemp() / 'features'

    def run(name, *options):
        out = tmp_path / 'figures' / 'out.json'
        command = [str(checkpoint), '--device', 'cpu', '--cache', str(cache)]
        result = getattr(evaluate, name)(
            [*command, '--out', str(out), *options]
        )
        written = json.loads(out.read_text())
        assert written == json.loads(json.dumps(result))
        return result, capsys.readouterr().out

    return run


def cells(text):
    rows = [line for line in text.splitlines() if line.startswith('|')]
    return [[cell.strip() for cell in row[1:-1].split('|')] for row in rows]


@pytest.mark.slow
def test_knn_on_the_data_of_the_config(tool, checkpoint):  # noqa: F811
    from mmengine.runner import Runner

    result, text = tool('knn', '--k', '5', '20')
    assert set(result['accuracies']) == {'5', '20'}
    for k, value in result['accuracies'].items():
        assert [k, f'{value:.4f}'] in cells(text)
    assert '1437 images' in text and '10 classes' in text
    # the same as the metric has in a run of the test loop
    import torch
    from mmengine.config import Config

    state = torch.load(checkpoint, weights_only=True)
    cfg = Config.fromstring(state['meta']['cfg'], '.py')
    cfg.load_from, cfg.work_dir = str(checkpoint), str(checkpoint.parent)
    cfg.test_evaluator = [dict(type='KNNAccuracy', k=(5, 20))]
    cfg.log_level, cfg.launcher = 'WARNING', 'none'
    cfg.experiment_name = 'test_frozen_features'
    metrics = Runner.from_cfg(cfg).test()
    for k, value in result['accuracies'].items():
        assert metrics[f'knn/k{k}'] == pytest.approx(value, abs=1e-9)
    sharp, _ = tool('knn', '--k', '20', '--temperature', '0.001')
    assert sharp['temperature'] == 0.001
    assert sharp['accuracies'] != {'20': result['accuracies']['20']}


def test_linear_probe_on_the_data_of_the_config(tool):
    result, text = tool(
        'linear_probe',
        *('--epochs', '3', '--seeds', '0', '1', '--num-rates', '4'),
    )
    assert [run['seed'] for run in result['runs']] == [0, 1]
    rates = [lr for lr, _, _ in result['runs'][0]['held_out']]
    assert rates == pytest.approx([1e-4, 10 ** (-7 / 3), 10 ** (-2 / 3), 10])
    table = cells(text)
    assert table[0] == ['learning rate', 'seed 0', 'seed 1']
    for column, run in enumerate(result['runs'], 1):
        chosen = rates.index(run['learning_rate'])
        assert 'chosen' in table[2 + chosen][column]
        best = max(value for _, _, value in run['held_out'])
        assert run['held_out'][chosen][2] == best
        assert 0.5 < run['test']['1'] < run['test']['5'] <= 1
        assert f'{run["test"]["1"]:.4f}' in text
    both = [run['test']['1'] for run in result['runs']]
    assert result['mean'] == pytest.approx(sum(both) / 2)
    assert result['std'] == pytest.approx(abs(both[0] - both[1]) / 2**0.5)
    assert f'± {result["std"]:.4f}' in text


def test_weight_decays_and_the_last_rate(tool, folders):  # noqa: F811
    train, test = map(str, folders)
    result, text = tool(
        'linear_probe',
        *('--train', train, '--test', test, '--weight-decays', '0', '0.1'),
        *('--learning-rates', '1e-9', '1e-8', '--num-rates', '2'),
        *('--epochs', '2'),
    )
    assert cells(text)[0] == ['learning rate', 'weight decay', 'seed 0']
    assert len(result['runs'][0]['held_out']) == 4
    assert result['runs'][0]['at_an_end']
    assert 'at an end of the range' in text


@pytest.mark.slow
def test_low_shot_on_folders(tool, folders):  # noqa: F811
    train, test = map(str, folders)
    options = ('--train', train, '--test', test, '--costs', '1', '10')
    result, text = tool('low_shot_svm', *options, '--shots', '1', '4', 'full')
    assert result['metric'] == 'accuracy' and result['num_classes'] == 3
    table = cells(text)
    assert [row[0] for row in table[2:]] == ['1', '4', 'full']
    assert [row[2] for row in table[2:]] == ['5', '5', '1']
    assert [row[3] for row in table[2:]] == ['3', '12', '24']
    # colours are easy, also for a network that was not trained
    assert result['rows'][-1]['mean'] > 0.9
    for row in result['rows'][:2]:
        assert f'{row["mean"]:.4f} ± {row["std"]:.4f}' in text
    # without 'full' only the images that are drawn are embedded
    few, _ = tool('low_shot_svm', *options, '--shots', '4', '--draws', '1')
    assert few['rows'][0]['values'] == result['rows'][1]['values'][:1]
    assert (few['embedded'], result['embedded']) == (12, 24)


def test_low_shot_on_voc(tool, voc):  # noqa: F811
    options = ('--shots', '4', 'full', '--draws', '2', '--costs', '1', '10')
    result, text = tool('low_shot_svm', '--voc', str(voc), *options)
    assert cells(text)[0][1] == 'mAP' == result['metric']
    assert 0.5 < result['rows'][-1]['mean'] <= 1
    assert result['options']['difficult'] == 'ignore'
    given = ('--voc', str(voc), '--shots', 'full', '--costs', '1')
    plain, text = tool('low_shot_svm', *given, '--difficult', 'negative')
    assert plain['options']['difficult'] == 'negative'
    assert [row[2:] for row in cells(text)[2:]] == [['1', '18', '1']]


@pytest.mark.parametrize(
    'name, options, message',
    [
        ('knn', ['--k', '0'], '--k must lie between 1 and the 1437'),
        ('knn', ['--k', '2000'], 'got 2000'),
        ('knn', ['--temperature', '0'], '--temperature must be'),
        ('knn', ['--config', 'no.py'], "There is no config 'no.py'"),
        ('linear_probe', ['--num-rates', '0'], '--num-rates >= 1'),
        ('linear_probe', ['--learning-rates', '1', '0.1'], 'LOW <= HIGH'),
        ('linear_probe', ['--held-out', '2'], 'held_out must be a share'),
        ('linear_probe', ['--epochs', '0'], 'epochs must be an integer'),
        ('low_shot_svm', ['--shots', '200'], '200 images of each class'),
        ('low_shot_svm', ['--shots', '0'], 'integers >= 1'),
        ('low_shot_svm', ['--costs', '-1'], 'costs must be a positive'),
        ('low_shot_svm', ['--draws', '0'], 'draws must be an integer'),
        ('low_shot_svm', ['--voc', 'no/where'], "no folder 'no/where'"),
    ],
)
def test_wrong_input_ends_with_a_message(
    checkpoint,  # noqa: F811
    name,
    options,
    message,
):
    with pytest.raises(SystemExit) as ended:
        getattr(evaluate, name)([str(checkpoint), '--cache', '', *options])
    assert str(ended.value.code).startswith(f'{name}: ')
    assert message in str(ended.value.code)


@pytest.mark.parametrize(
    'name, options, message',
    [
        ('knn', ['--train', 'a'], '--train and --test go together'),
        ('knn', ['--out', 'a.txt'], 'must end in .json'),
        ('knn', ['--k', 'few'], "invalid int value: 'few'"),
        ('low_shot_svm', ['--shots', 'all'], '--shots'),
        ('low_shot_svm', ['--ap', 'coco'], 'invalid choice'),
        ('linear_probe', ['--seed', '-1'], '--seed must be >= 0'),
        ('linear_probe', ['--batch-size', '0'], '--batch-size must be'),
    ],
)
def test_wrong_options_end_with_the_usage(capsys, name, options, message):
    with pytest.raises(SystemExit) as ended:
        getattr(evaluate, name)(['x.pth', *options])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_missing_checkpoint():
    with pytest.raises(SystemExit) as ended:
        evaluate.knn(['no/such.pth'])
    assert 'no/such.pth' in str(ended.value.code)


@pytest.mark.parametrize('name', NAMES)
def test_the_help_has_examples(name, capsys):
    with pytest.raises(SystemExit) as ended:
        getattr(evaluate, name)(['--help'])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert 'examples:' in text and 'work_dirs/quickstart' in text
    assert '--cache' in text and '--out' in text
