# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import json
import runpy
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from pauc_mm.datasets import IMAGENET100_CLASSES
from pauc_mm.transfer import FeatureOptions, evaluate_knn
from pauc_mm.transfer.suite import (
    OWN,
    Figure,
    Setup,
    Task,
    all_tasks,
    find_data,
    run_tasks,
    suite_table,
    table_rows,
    why_not,
)
from pauc_mm.transfer.suite.data_at_hand import LAYOUTS
from pauc_mm.transfer.suite.fine_tuned import Recipe, fine_tune, last_figures
from pauc_mm.transfer.suite.published import FIGURES, METHODS, SOURCES

TOOL = Path(__file__).resolve().parents[2] / 'tools/benchmarks'
EVALUATE_ALL = runpy.run_path(str(TOOL / 'evaluate_all.py'))['main']


@pytest.fixture
def setup(checkpoint, tmp_path):
    return Setup(
        FeatureOptions(str(checkpoint), cache=str(tmp_path / 'cache')),
        find_data(str(tmp_path / 'data')),
        tmp_path / 'out',
    )


def counted(calls, name='one', value=12.34, **changes):
    """A task that adds its name to a list."""

    def evaluate(setup):
        calls.append(name)
        return {f'{name} row': Figure(value, 0.5)}

    task = Task(name, OWN, {f'{name} row': 'imagenet top-1'}, evaluate, 'how')
    return replace(task, **changes)


def fails(setup):
    raise ValueError('no such thing')


def test_published_figures_are_those_of_the_papers():
    assert FIGURES.keys() == SOURCES.keys()
    assert {m for row in FIGURES.values() for m in row} <= set(METHODS)
    # PCL, table 1 (k = 1 and 16), 2 and 5; PAUC, tables 2 and 3.
    assert FIGURES['voc07 SVM k=1']['PCL'] == 46.9
    assert FIGURES['voc07 SVM k=16']['PCL v2'] == 78.3
    assert FIGURES['places205 SVM k=16']['supervised'] == 36.0
    assert FIGURES['imagenet 1% top-5']['PCL'] == 75.3
    assert FIGURES['voc07 frozen AP50']['PCL'] == 71.7
    assert FIGURES['imagenet100 top-1']['PAUC'] == 84.46
    assert FIGURES['imagenet top-1']['PAUC'] == 75.16


def test_tasks_fit_figures_data_and_configs():
    tasks = all_tasks()
    assert len({task.name for task in tasks}) == len(tasks)
    rows = [row for task in tasks for row in task.rows]
    assert len(set(rows)) == len(rows)
    used = {key for task in tasks for key in task.rows.values() if key}
    assert used == FIGURES.keys()
    assert {task.data for task in tasks} == {OWN, *LAYOUTS}


def test_data_at_hand(tmp_path):
    (tmp_path / 'imagenet/train').mkdir(parents=True)
    found = find_data(str(tmp_path))
    assert not any(found.values())
    assert found['imagenet'].missing == (str(tmp_path / 'imagenet/val'),)
    (tmp_path / 'imagenet/val').mkdir()
    found = find_data(str(tmp_path))
    assert [name for name, data in found.items() if data] == [
        'imagenet',
        'imagenet100',
    ]
    file = tmp_path / 'file'
    file.touch()
    with pytest.raises(NotADirectoryError, match='--data-root'):
        find_data(str(file))


def test_what_is_done_is_not_repeated(setup, checkpoint):
    calls = []
    task = counted(calls)
    first = run_tasks([task], setup)
    assert run_tasks([task], setup) == first and calls == ['one']
    assert first['one']['figures']['one row'] == dict(mean=12.34, std=0.5)
    # Other settings are other results; how fast it goes is not.
    run_tasks([task], replace(setup, seed=1))
    faster = replace(setup.options, batch_size=7, workers=1)
    run_tasks([task], replace(setup, options=faster, seed=1))
    assert len(calls) == 2
    momentum = replace(setup.options, momentum=True)
    run_tasks([task], replace(setup, options=momentum, seed=1))
    run_tasks([task], replace(setup, seed=1), force=True)
    assert len(calls) == 4


def test_a_failure_does_not_stop_the_others(setup, capsys):
    calls, seen = [], []
    tasks = [counted([], 'bad', evaluate=fails), counted(calls, 'good')]
    results = run_tasks(tasks, setup, keep=lambda r: seen.append(len(r)))
    assert results['bad'] == dict(
        status='failed', reason='ValueError: no such thing'
    )
    assert calls == ['good'] and seen == [1, 2]
    assert 'Traceback' in capsys.readouterr().err
    # It is tried again by the next call.
    tasks[0] = counted(calls, 'bad')
    assert run_tasks(tasks, setup)['bad']['status'] == 'done'


def test_reasons(setup):
    tasks = {task.name: task for task in all_tasks()}
    assert why_not(tasks['own-knn'], setup) is None
    assert 'imagenet/train' in why_not(tasks['imagenet-knn'], setup)
    assert 'semi_1percent.txt' in why_not(tasks['imagenet-1percent'], setup)
    everything = {
        name: replace(found, missing=()) for name, found in setup.data.items()
    }
    there = replace(setup, data=everything)
    assert why_not(tasks['imagenet-knn'], there) is None
    assert '--gpus' in why_not(tasks['imagenet-1percent'], there)
    assert why_not(tasks['imagenet-1percent'], replace(there, gpus=1)) is None


def test_the_table():
    tasks = [
        counted([], 'a'),
        counted([], 'b', rows={'b row': ''}),
        counted([], 'c', rows={'c row': 'imagenet100 top-5'}),
    ]
    results = dict(
        a=dict(status='done', figures={'a row': dict(mean=61.25, std=None)}),
        b=dict(status='failed', reason='ValueError: broken'),
        c=dict(status='not run', reason='there is no data'),
    )
    page = suite_table('Title', tasks, results)
    lines = page.splitlines()
    header = [cell.strip() for cell in lines[4].split('|')[1:-1]]
    assert header == [
        'evaluation',
        'this checkpoint',
        *(m for m in METHODS if m not in ('random', 'supervised')),
    ]
    row = dict(zip(header, (c.strip() for c in lines[6].split('|')[1:-1])))
    assert row['this checkpoint'] == '61.2' and row['PAUC'] == '75.16'
    assert '- b: ValueError: broken' in lines
    assert '- c: there is no data' in lines
    assert '- a: how' in lines
    ours = [row['ours'] for row in table_rows(tasks, results)]
    assert ours == [dict(mean=61.25, std=None), None, None]


def test_on_the_digits(checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv = [
        str(checkpoint),
        *('--tasks', 'own-knn', 'own-low-shot', 'imagenet-knn'),
        *('--out', 'out', '--draws', '2'),
    ]
    EVALUATE_ALL(argv)
    told = capsys.readouterr().out
    assert 'imagenet-knn: not run, there is no data/imagenet/train' in told
    written = json.loads(Path('out/evaluations.json').read_text())
    rows = {row['row']: row['ours'] for row in written['rows']}
    alone = evaluate_knn(FeatureOptions(str(checkpoint)), [20])
    assert rows['own images: kNN, top-1']['mean'] == pytest.approx(
        100 * alone['accuracies']['20']
    )
    sixteen = rows['own images: linear SVM, k = 16, top-1']
    assert 30 < sixteen['mean'] < 100 and sixteen['std'] > 0
    assert rows['ImageNet-1k: kNN, top-1'] is None
    assert '| PCL' in Path('out/evaluations.md').read_text()
    EVALUATE_ALL(argv)
    assert 'own-knn: done before' in capsys.readouterr().out
    EVALUATE_ALL([*argv[:1], '--list'])
    assert 'own-knn: would be run' in capsys.readouterr().out


def test_on_a_folder_of_imagenet(checkpoint, tmp_path, monkeypatch):
    """The names and places of ImageNet, one colour a class."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('IMAGENET_ROOT', 'elsewhere')
    for split, count in (('train', 3), ('val', 1)):
        for i, (wnid, _) in enumerate(IMAGENET100_CLASSES):
            colour = (i // 25 * 60 + 30, i // 5 % 5 * 50 + 20, i % 5 * 50 + 20)
            for j in range(count):
                path = tmp_path / 'sets/imagenet' / split / wnid / f'{j}.JPEG'
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new('RGB', (20, 20 + j), colour).save(path)
    argv = [str(checkpoint), '--data-root', 'sets', '--out', 'out']
    EVALUATE_ALL([*argv, '--tasks', 'imagenet100-linear'])
    written = json.loads(Path('out/evaluations.json').read_text())
    top1, top5 = written['rows']
    # The test images are those of training, but for a row of pixels.
    assert 90 < top1['ours']['mean'] <= top5['ours']['mean']
    assert top1['published']['PAUC'] == 84.46
    assert top5['published']['PAUC'] == 97.15


def test_a_recipe_is_trained(checkpoint, setup):
    recipe = Recipe(
        'classification',
        'linear/tiny_digits.py',
        {'digits': ('accuracy/top1', 1.0)},
    )
    setup = replace(
        setup,
        gpus=1,
        cfg_options=('train_cfg.max_epochs=1', 'train_cfg.val_interval=1'),
    )
    task = Task(
        'digits',
        OWN,
        {'digits': ''},
        partial(fine_tune, recipe=recipe, name='digits'),
        'how',
        fine_tunes=True,
    )
    result = run_tasks([task], setup)['digits']
    assert result['status'] == 'done', result
    assert 20 < result['figures']['digits']['mean'] <= 100
    bad = replace(recipe, metrics={'digits': ('accuracy/top7', 1.0)})
    with pytest.raises(RuntimeError, match='has no accuracy/top7'):
        fine_tune(setup, bad, 'digits')


def test_figures_of_a_resumed_run(tmp_path):
    for name, lines in (
        ('20260101_000000', ['{"a": 1.0, "step": 1}', '{"b": 2, "step": 2}']),
        ('20260102_000000', ['{"a": 3.0, "loss": NaN, "step": 3}']),
    ):
        folder = tmp_path / name / 'vis_data'
        folder.mkdir(parents=True)
        (folder / 'scalars.json').write_text('\n'.join(lines) + '\n')
    assert last_figures(tmp_path) == dict(a=3.0, b=2.0, step=3.0)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--tasks', 'own-knn', 'nonsense'], 'nonsense: unknown; there are'),
        (['--gpus', '-1'], '--gpus must be >= 0'),
        (['--train', 'somewhere'], 'go together'),
        (['--data-root', __file__], 'is a file'),
    ],
)
def test_wrong_arguments(checkpoint, arguments, message, capsys):
    with pytest.raises(SystemExit):
        EVALUATE_ALL([str(checkpoint), *arguments])
    assert message in capsys.readouterr().err


def test_no_checkpoint(capsys):
    with pytest.raises(SystemExit):
        EVALUATE_ALL(['nowhere.pth'])
    assert "there is no checkpoint 'nowhere.pth'" in capsys.readouterr().err
