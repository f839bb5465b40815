# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import json

import pytest

from pauc_mm.apis import plan as plan_api
from pauc_mm.datasets.view_transforms import ViewFlip
from pauc_mm.engine.plan import costs, planning
from tests.test_configs.recipes import CONFIGS, save_image


@pytest.fixture(autouse=True)
def known_speeds(monkeypatch):
    # Of this machine, which no test may depend on. Passes take long to count.
    known = costs.Pass(10**9, 10**6)
    monkeypatch.setattr(planning, 'forward_pass', lambda *_: known)
    monkeypatch.setattr(planning, 'network_speed', lambda *_: 100.0)
    monkeypatch.setattr(planning, 'kmeans_speed', lambda *_: 1e9)


def run(capsys, name, *options):
    plan_api.main([str(CONFIGS / f'{name}.py'), *options])
    return capsys.readouterr().out


def column(table, name):
    rows = [line.strip('|').split('|') for line in table.splitlines()]
    (row,) = (r for r in rows if r[0].strip() == name)
    return [cell.strip() for cell in row[1:]]


def test_images_that_are_there_are_counted(capsys, tmp_path):
    out = run(capsys, 'pauc_tiny_digits', '--json', str(tmp_path / 'a.json'))
    assert column(out, 'size: images') == ['1,437']
    assert column(out, 'size: steps an epoch') == ['11']
    assert 'this CPU' in out
    written = json.loads((tmp_path / 'a.json').read_text())
    assert written['plans'][0]['size']['images'] == 1437
    assert 'this CPU' in written['speeds']


def test_columns_for_images_that_are_not(capsys, monkeypatch):
    monkeypatch.setenv('IMAGENET_ROOT', '/nowhere')
    options = ('--gpus', '64', '--images', '14000000', '100000000')
    out = run(capsys, 'pauc_r50_8xb32_in1k', *options)
    assert column(out, 'size: images') == ['14,000,000', '100,000,000']
    assert column(out, 'size: images a step') == ['2,048'] * 2
    assert 'ShardedKMeans (there is a GPU)' in out
    assert 'A100' in out and 'an assumption' in out


@pytest.mark.slow
def test_faiss_without_a_gpu_is_measured_on_this_cpu(capsys, monkeypatch):
    monkeypatch.setenv('IMAGENET_ROOT', '/nowhere')
    kind = 'default_hooks.clustering.kmeans.type=FaissKMeans'
    options = ('--gpus', '8', '--cfg-options', kind)
    out = run(capsys, 'pauc_r50_8xb32_in1k', *options)
    assert 'A100' in out and 'assumption' not in out
    assert 'FaissKMeans (kmeans.type) on this CPU' in out


@pytest.mark.slow
def test_augmentation_on_the_device_is_not_loading(capsys, monkeypatch):
    monkeypatch.setenv('IMAGENET_ROOT', '/nowhere')

    def refuse(*_):
        raise AssertionError('the loader augments')

    monkeypatch.setattr(ViewFlip, '_on_image', refuse)
    option = 'data_preprocessor.type=DeviceAugmentation'
    out = run(capsys, 'pauc_r50_8xb32_in1k', '--cfg-options', option)
    assert 'augmentation on the device is not counted' in out


def test_recipes_of_imagenet_know_their_number(capsys, monkeypatch):
    monkeypatch.setenv('IMAGENET_ROOT', '/nowhere')
    out = run(capsys, 'mocov2/mocov2_r50_8xb32_in100', '--device', 'V100')
    assert column(out, 'size: images') == ['126,689']
    assert 'E-step' not in out
    assert '8 V100' in out


def test_a_folder(capsys, monkeypatch, tmp_path):
    for i in range(60):
        save_image(tmp_path / 'a' / f'{i}.png')
    monkeypatch.setenv('DATA_ROOT', str(tmp_path))
    clusters = '--cfg-options', 'model.num_clusters=[5,7]'
    batch = 'train_dataloader.batch_size=20'
    out = run(capsys, 'pauc_r18_folder', *clusters, batch)
    assert column(out, 'size: images') == ['60']
    assert column(out, 'size: steps an epoch') == ['3']


@pytest.mark.parametrize(
    'name, options, match',
    [
        ('pauc_tiny_digits', ['--gpus', '0'], '--gpus'),
        ('pauc_tiny_digits', ['--images', '0'], '--images'),
        ('pauc_tiny_digits', ['--images', '99'], 'batch_size=128'),
        ('pauc_r18_folder', [], '--images'),
        ('pauc_tiny_digits', ['--device', 'cuda'], '--device cuda'),
        (  # a part of ImageNet, of unknown size
            'mocov2/mocov2_r50_8xb32_in1k',
            ['--cfg-options', 'train_dataloader.dataset.ann_file=part.txt'],
            '--images',
        ),
    ],
)
def test_wrong_options(capsys, monkeypatch, name, options, match):
    for root in ('DATA_ROOT', 'IMAGENET_ROOT'):
        monkeypatch.setenv(root, '/nowhere')
    with pytest.raises((ValueError, FileNotFoundError), match=match):
        run(capsys, name, *options)


def test_what_is_no_pretraining(capsys, tmp_path):
    config = tmp_path / 'x.py'
    config.write_text('model = dict(type="PAUC")\n')
    linear = CONFIGS / 'benchmarks/linear/tiny_digits.py'
    for path, key in ((config, 'train_cfg'), (linear, 'ImageClassifier')):
        with pytest.raises(SystemExit):
            plan_api.main([str(path)])
        assert key in capsys.readouterr().err
