# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from PIL import Image

from pauc_mm.apis.evaluate_all import main as evaluate_all
from pauc_mm.datasets import IMAGENET100_CLASSES
from pauc_mm.datasets.data_layout import (
    LAYOUTS,
    find_data,
    roots_in_environment,
)
from pauc_mm.transfer import FeatureOptions, evaluate_knn
from pauc_mm.transfer.suite.fine_tuned import (
    Recipe,
    _batch_options,
    final_metrics,
    recipe_task,
)
from pauc_mm.transfer.suite.published import (
    METHODS,
    PUBLISHED,
    SHOTS,
    SOURCES,
)
from pauc_mm.transfer.suite.run import all_tasks, run_tasks, why_not
from pauc_mm.transfer.suite.table import suite_table, table_rows
from pauc_mm.transfer.suite.task import OWN, Score, Setup, Task
from tests.test_transfer.helpers import write_folders


@pytest.fixture
def setup(checkpoint, tmp_path):
    return Setup(
        FeatureOptions(str(checkpoint), cache=str(tmp_path / 'cache')),
        find_data(str(tmp_path)),
        tmp_path / 'out',
    )


def test_a_folder_is_as_old_as_the_weights_in_it(setup, tmp_path):
    weights = tmp_path / 'hub' / 'model.safetensors'
    weights.parent.mkdir()
    weights.write_bytes(b'1')
    options = replace(setup.options, checkpoint=str(weights.parent))
    setup = replace(setup, options=options)
    before = setup.network()
    weights.write_bytes(b'22')  # which leaves the time of the folder
    assert setup.network() != before


def counted(calls, name='one', value=12.34, **changes):
    """A task that adds its name to a list."""

    def evaluate(setup):
        calls.append(name)
        return {f'{name} row': Score(value, 0.5)}

    def key(setup):
        return dict(network=setup.network(), seed=setup.seed)

    rows = {f'{name} row': 'imagenet top-1'}
    return replace(Task(name, OWN, rows, evaluate, key, 'how'), **changes)


def fails(setup):
    raise ValueError('no such thing')


def test_published_figures_are_those_of_the_papers():
    assert PUBLISHED.keys() == SOURCES.keys()
    assert {m for row in PUBLISHED.values() for m in row} <= set(METHODS)
    # PCL: table 1, row "PCL v2"; tables 2, 5 and 6, row "PCL"; table 3.
    for data, values in (
        ('voc07', (47.9, 59.6, 66.2, 74.5, 78.3)),
        ('places205', (12.5, 17.5, 23.2, 28.1, 32.3)),
    ):
        own = [PUBLISHED[f'{data} SVM k={k}']['PCL v2'] for k in SHOTS]
        assert tuple(own) == values
    pcl = {name: row['PCL'] for name, row in PUBLISHED.items() if 'PCL' in row}
    assert pcl['imagenet 1% top-5'] == 75.3
    assert pcl['imagenet 10% top-5'] == 85.6
    assert pcl['voc07 frozen AP50'] == 71.7
    assert pcl['voc0712 frozen AP50'] == 78.5
    assert pcl['coco C4 box AP'] == 41.0 and pcl['coco C4 mask AP'] == 35.6
    assert PUBLISHED['voc07 SVM full'] == {
        'MoCo': 79.2,
        'PCL': 82.3,
        'PCL v2': 85.4,
    }
    # PAUC: tables 2 and 3, the prototypical methods.
    last = ('PCL', 'PCL v2', 'SwAV', 'CLD', 'PAUC')
    for row, values in (
        ('imagenet100 top-1', (76.17, 78.35, 80.20, 81.50, 84.46)),
        ('imagenet100 top-5', (93.52, 94.25, 95.02, 95.48, 97.15)),
        ('imagenet top-1', (61.50, 67.60, 72.70, 71.50, 75.16)),
    ):
        assert tuple(PUBLISHED[row][m] for m in last) == values
    # The official MoCo repository, detection/README.md, row "MoCo v2, 200ep".
    c4 = [PUBLISHED[f'voc0712 C4 {m}']['MoCo v2'] for m in ('AP50', 'AP')]
    assert c4 == [82.4, 57.0]


def test_tasks_fit_figures_data_and_configs():
    tasks = all_tasks()
    assert len({task.name for task in tasks}) == len(tasks)
    rows = [row for task in tasks for row in task.rows]
    assert len(set(rows)) == len(rows)
    used = {key for task in tasks for key in task.rows.values() if key}
    assert used == PUBLISHED.keys()
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
    for wrong in (file, tmp_path / 'nowhere'):
        with pytest.raises(ValueError, match='--data-root .* is not a folder'):
            find_data(str(wrong))


def test_data_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('VOC_ROOT', 'elsewhere')
    monkeypatch.delenv('COCO_ROOT', raising=False)
    assert find_data()['voc07'].folder == 'elsewhere'
    assert find_data()['coco'].folder == 'data/coco'
    named = find_data('.')  # what is named comes first
    assert named['voc07'].folder == 'VOCdevkit'
    with roots_in_environment(named):
        assert os.environ['VOC_ROOT'] == str(tmp_path / 'VOCdevkit')
    assert os.environ['VOC_ROOT'] == 'elsewhere'
    assert 'COCO_ROOT' not in os.environ


@pytest.mark.slow
def test_what_is_done_is_not_repeated(setup, checkpoint):
    calls = []
    task = counted(calls)
    first = run_tasks([task], setup)
    assert run_tasks([task], setup) == first and calls == ['one']
    assert first['one']['figures']['one row'] == dict(mean=12.34, std=0.5)
    run_tasks([task], replace(setup, seed=1))
    momentum = replace(setup.options, momentum=True)
    run_tasks([task], replace(setup, options=momentum, seed=1))
    run_tasks([task], replace(setup, options=momentum, seed=1, force=True))
    assert len(calls) == 4


@pytest.mark.slow
def test_what_a_result_depends_on(checkpoint, folders, tmp_path):
    train, test = (tmp_path / name for name in ('train', 'test'))
    for source, copy in zip(folders, (train, test)):
        shutil.copytree(source, copy)
    own = FeatureOptions(str(checkpoint), str(train), str(test))
    setup = Setup(own, find_data(str(tmp_path)), tmp_path)
    tasks = {task.name: task for task in all_tasks()}
    knn, svm = tasks['own-knn'], tasks['own-low-shot']
    before = knn.key(setup), svm.key(setup)
    # How fast it goes, and what is not used, changes nothing.
    faster = replace(own, batch_size=7, workers=1, cache='')
    assert knn.key(replace(setup, options=faster)) == before[0]
    drawn = replace(setup, draws=2)
    assert knn.key(drawn) == before[0] and svm.key(drawn) != before[1]
    # Another image does.
    Image.new('RGB', (9, 9)).save(train / 'red' / 'new.png')
    assert knn.key(setup) != before[0]
    # Fine-tuning: the list of the labels.
    for part in LAYOUTS['imagenet 1%'][1]:
        path = tmp_path / 'imagenet' / part
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('') if path.suffix else path.mkdir()
    few = tasks['imagenet-1percent']
    before = few.key(setup)
    assert few.key(replace(setup, gpus=3)) == before
    path.write_text('n01440764/a.JPEG 0')
    assert few.key(setup) != before


@pytest.mark.slow
def test_a_failure_does_not_stop_the_others(setup, capsys):
    calls, seen = [], []
    tasks = [counted([], 'bad', evaluate=fails), counted(calls, 'good')]
    results = run_tasks(tasks, setup, save=lambda r: seen.append(len(r)))
    assert results['bad'] == dict(
        status='failed', reason='ValueError: no such thing'
    )
    assert calls == ['good'] and seen == [1, 2]
    assert 'Traceback' in capsys.readouterr().err
    # It is tried again by the next call.
    tasks[0] = counted(calls, 'bad')
    assert run_tasks(tasks, setup)['bad']['status'] == 'done'


def test_reasons(setup, monkeypatch):
    tasks = {task.name: task for task in all_tasks()}
    assert why_not(tasks['own-knn'], setup) is None
    assert 'imagenet/train' in why_not(tasks['imagenet-knn'], setup)
    assert 'semi_1percent.txt' in why_not(tasks['imagenet-1percent'], setup)
    everything = {
        name: replace(found, missing=()) for name, found in setup.data.items()
    }
    there = replace(setup, data=everything)
    monkeypatch.setattr(
        'pauc_mm.transfer.suite.run.find_spec', lambda name: None
    )
    assert 'pip install "' in why_not(tasks['coco-c4'], replace(there, gpus=1))
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


@pytest.mark.slow
def test_on_the_digits(checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    argv = [
        str(checkpoint),
        *('--tasks', 'own-knn', 'own-low-shot', 'imagenet-knn'),
        *('--out', 'out', '--draws', '2'),
    ]
    evaluate_all(argv)
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
    evaluate_all(argv)
    assert 'own-knn: done before' in capsys.readouterr().out
    evaluate_all([*argv[:1], '--list'])
    assert 'own-knn: would be run' in capsys.readouterr().out


def test_no_encoder_in_the_checkpoint(tmp_path, capsys):
    path = tmp_path / 'classifier.pth'
    torch.save({'fc.weight': torch.zeros(2, 3)}, path)
    for more in ([], ['--list']):
        with pytest.raises(SystemExit, match='no network that is known'):
            evaluate_all([str(path), *more])


@pytest.mark.slow
def test_a_failure_ends_with_its_name(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Twenty classes are not the thousand of ImageNet.
    for split in ('train', 'val'):
        write_folders(tmp_path / 'data/imagenet' / split, range(2))
    with pytest.raises(SystemExit, match='imagenet-knn failed'):
        evaluate_all([str(checkpoint), '--tasks', 'imagenet-knn'])


@pytest.mark.slow
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
                image = Image.new('RGB', (20, 20), colour)
                image.putpixel((10, 10), (j * 80 + 10 * (split == 'val'),) * 3)
                image.save(path)
    argv = [str(checkpoint), '--data-root', 'sets', '--out', 'out']
    evaluate_all([*argv, '--tasks', 'imagenet100-linear'])
    written = json.loads(Path('out/evaluations.json').read_text())
    top1, top5 = written['rows']
    # The test images are those of training, but for a pixel.
    assert 90 < top1['ours']['mean'] <= top5['ours']['mean']
    assert top1['published']['PAUC'] == 84.46
    assert top5['published']['PAUC'] == 97.15


@pytest.mark.program
def test_a_recipe_is_trained(checkpoint, setup):
    recipe = Recipe(
        name='digits',
        data=OWN,
        title='digits',
        config='linear/tiny_digits.py',
        metrics=[('top-1', 'accuracy/top1', '')],
    )
    setup = replace(
        setup,
        gpus=1,
        cfg_options=('train_cfg.max_epochs=1', 'train_cfg.val_interval=1'),
    )
    task = recipe_task(recipe)
    result = run_tasks([task], setup)['digits']
    assert result['status'] == 'done', result
    assert 20 < result['figures']['digits, top-1']['mean'] <= 100
    # Another checkpoint of the same name is another training.
    content = torch.load(checkpoint)
    for value in content['state_dict'].values():
        if value.is_floating_point():
            value.mul_(0.9)
    changed = setup.out / 'changed.pth'
    torch.save(content, changed)
    other = replace(setup, options=FeatureOptions(str(changed)))
    assert run_tasks([task], other)['digits']['status'] == 'done'
    assert len(list(setup.out.glob('digits_*/epoch_1.pth'))) == 2
    assert len(list(setup.out.glob('backbone_*.pth'))) == 2
    log = next(setup.out.glob('digits_*/*/*.log')).read_text()
    assert 'batch_size=32' in log.replace(' ', '')


def test_the_batch_is_that_of_the_recipe(setup):
    config = Config(dict(auto_scale_lr=dict(base_batch_size=256)))
    given = _batch_options(config, replace(setup, gpus=4, seed=5))
    assert given == [
        '--auto-scale-lr',
        '--cfg-options',
        'randomness.seed=5',
        'train_dataloader.batch_size=64',
    ]
    given = _batch_options(config, replace(setup, gpus=3))
    assert given[2:] == ['randomness.seed=0'] and '--auto-scale-lr' in given


def test_only_figures_after_the_last_step_count(tmp_path):
    def write(name, *lines):
        folder = tmp_path / name / 'vis_data'
        folder.mkdir(parents=True)
        text = '\n'.join(map(json.dumps, lines))
        (folder / 'scalars.json').write_text(text + '\n')

    write('20260101', {'loss': 2.0}, {'a': 1.0, 'step': 1}, {'loss': 1.0})
    # Killed in its last evaluation, and started again: nothing to train.
    with pytest.raises(RuntimeError, match='no a after'):
        final_metrics(tmp_path, ['a'])
    write('20260102', {'loss': 0.5}, {'a': 3.0, 'step': 2})
    assert final_metrics(tmp_path, ['a']) == dict(a=3.0)
    with pytest.raises(RuntimeError, match='has no b after'):
        final_metrics(tmp_path, ['a', 'b'])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--tasks', 'own-knn', 'nonsense'], 'nonsense'),
        (['--gpus', '-1'], '--gpus must be >= 0'),
        (['--train', 'somewhere'], 'go together'),
        (['--data-root', __file__], 'is not a folder'),
        (['--out', __file__], 'is a file'),
    ],
)
def test_wrong_arguments(checkpoint, arguments, message, capsys):
    with pytest.raises(SystemExit):
        evaluate_all([str(checkpoint), *arguments])
    assert message in capsys.readouterr().err


def test_no_checkpoint():
    with pytest.raises(SystemExit, match='nowhere.pth'):
        evaluate_all(['nowhere.pth'])
