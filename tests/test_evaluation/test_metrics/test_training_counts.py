# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmengine.runner import EpochBasedTrainLoop, Runner
from PIL import Image

from pauc_mm.datasets import ImageFolder, SklearnDigits
from pauc_mm.datasets.long_tail import class_ranking
from pauc_mm.evaluation.metrics.knn_accuracy import training_counts

COUNTS = [138, 106, 82, 64, 49, 38, 29, 23, 17, 13]


@pytest.fixture(autouse=True)
def scope(monkeypatch):
    init_default_scope('mmpretrain')
    # yapf takes seconds to lay out a config for the log.
    monkeypatch.setattr(Config, 'pretty_text', property(repr))


def runner_of(dataset):
    return SimpleNamespace(
        _train_dataloader=None if dataset is None else dict(dataset=dataset),
        _train_loop=dict(type='EpochBasedTrainLoop'),
    )


def test_counts():
    cfg = ConfigDict(type='SklearnDigits', imbalance=10, imbalance_seed=4)
    counts = training_counts(runner_of(cfg))
    assert counts[class_ranking(range(10), 4)].tolist() == COUNTS
    data = SklearnDigits(imbalance=10)
    assert training_counts(runner_of(data)).tolist() == COUNTS
    data.get_subset_(np.flatnonzero(data.get_gt_labels() != 9).tolist())
    # A class without an image is the rarest, not unknown.
    assert training_counts(runner_of(data)).tolist() == [*COUNTS[:9], 0]


@pytest.mark.parametrize('more', [{}, {'metainfo': {'classes': None}}])
def test_a_data_set_without_the_names_of_its_classes(more):
    data = SimpleNamespace(get_gt_labels=lambda: [2, 0, 2], **more)
    assert training_counts(runner_of(data)).tolist() == [1, 0, 2]


def test_the_set_of_the_training_loop_is_counted():
    # Once built, and not that of the validation
    sets = [SklearnDigits(imbalance=i) for i in (10, 5)]
    loops = [EpochBasedTrainLoop.__new__(EpochBasedTrainLoop) for _ in sets]
    for loop, data in zip(loops, sets):
        loop.dataloader = SimpleNamespace(dataset=data)
    runner = SimpleNamespace(
        _train_dataloader=None,
        _train_loop=loops[0],
        val_loop=loops[1],
        _val_loop=loops[1],
    )
    assert training_counts(runner).tolist() == COUNTS


def test_nothing_to_count(tmp_path):
    with pytest.raises(ValueError, match='train_dataloader'):
        training_counts(runner_of(None))
    for i in range(2):
        Image.new('RGB', (8, 8), (i, 0, 0)).save(tmp_path / f'{i}.png')
    with pytest.raises(ValueError, match='ImageFolder'):
        training_counts(runner_of(ImageFolder(data_root=str(tmp_path))))


CONFIG = """
_base_ = [
    'pauc_mm::_base_/models/{model}_tiny.py',
    'pauc_mm::_base_/datasets/{data}_lt.py',
    'pauc_mm::_base_/schedules/sgd_cosine_tiny.py',
    'pauc_mm::_base_/default_runtime.py',
]
train_cfg = dict(max_epochs=2, val_interval=2)
val_cfg = dict(type='EmbeddingValLoop', bank_dataloader=_base_.bank_dataloader)
test_cfg = dict(
    type='EmbeddingTestLoop', bank_dataloader=_base_.bank_dataloader
)
"""


@pytest.mark.parametrize('data, total', [('digits', 559), ('mnist', 1116)])
@pytest.mark.slow
def test_trained_on_a_long_tail_and_measured_by_group(data, total, tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text(CONFIG.format(model='simclr', data=data))
    cfg = Config.fromfile(path)
    cfg.work_dir = str(tmp_path / 'work')
    cfg.experiment_name = f'test_long_tail_{data}'
    cfg.train_dataloader.update(num_workers=0)
    cfg.train_dataloader.dataset.imbalance_seed = 1
    # The bank and the queries are all images, and the queries balanced.
    test_set = cfg.val_dataloader.dataset
    assert test_set.get('imbalance') is None and test_set.split == 'test'
    bank = cfg.val_cfg.bank_dataloader.dataset
    assert bank.get('imbalance') is None and bank.split == 'train'

    runner = Runner.from_cfg(cfg)
    runner.train()
    assert len(runner.train_dataloader.dataset) == total
    ranking = class_ranking(range(10), 1)
    groups = dict(head=ranking[:4], middle=ranking[4:7], tail=ranking[7:])
    metric = runner.val_evaluator.metrics[0]
    assert metric.class_groups == groups
    trained = results_of(runner, 'val')
    # Every class has as many queries: the groups make up the whole.
    for k in (20, 200):
        parts = [trained[f'knn/k{k}_{group}'] for group in groups]
        whole = np.average(parts, weights=[4, 3, 3])
        assert trained[f'knn/k{k}'] == pytest.approx(whole)

    # A test builds no training loop, and forms the same groups.
    cfg.load_from = str(tmp_path / 'work' / 'epoch_2.pth')
    cfg.experiment_name += '_again'
    runner = Runner.from_cfg(cfg)
    tested = runner.test()
    assert runner.test_evaluator.metrics[0].class_groups == groups
    for key, value in trained.items():
        if key.startswith('knn/'):
            assert tested[key] == pytest.approx(value), key


def results_of(runner, stage):
    return {
        key[len(stage) + 1 :]: history.data[0][-1]
        for key, history in runner.message_hub.log_scalars.items()
        if key.startswith(f'{stage}/')
    }
