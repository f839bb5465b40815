# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Two label sets are compared by the names of their classes."""

import numpy as np
import pytest
from mmengine.runner import Runner
from PIL import Image

from tests.helpers import PLAIN, folder_loader_cfg, run_cfg

FOUR = ('c0', 'c1', 'c2', 'c3')


def folder(path, classes):
    rng = np.random.default_rng(0)
    for name in classes:
        (path / name).mkdir(parents=True)
        for i in range(4):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path / name / f'{i}.png')
    return str(path)


def loader(path, training=False):
    loads = dict(type='LoadImageFromFile')
    return folder_loader_cfg(path, [loads, *PLAIN], training)


def bank_run(tmp_path, bank, queries):
    cfg = run_cfg(tmp_path / 'run')
    cfg.val_dataloader = loader(queries)
    cfg.val_cfg = dict(type='EmbeddingValLoop', bank_dataloader=loader(bank))
    cfg.val_evaluator = dict(type='KNNAccuracy', k=2)
    return Runner.from_cfg(cfg).val


def classifier(tmp_path, train, validation, classes=4):
    cfg = run_cfg(tmp_path / 'run', max_epochs=1)
    cfg.model = dict(
        type='ImageClassifier',
        backbone=dict(cfg.model.backbone),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=classes, in_channels=16),
    )
    cfg.default_hooks.pop('clustering')
    cfg.train_dataloader = loader(train, training=True)
    cfg.val_dataloader = loader(validation)
    cfg.val_cfg = dict()
    cfg.val_evaluator = dict(type='Accuracy')
    return Runner.from_cfg(cfg).train


# The classes of the second set, and what the message must name.
ROWS = [
    (('c0', 'c2', 'c3'), 'c1'),
    (('c0', 'c1', 'c2', 'd3'), 'd3'),
    ((*FOUR, 'other'), 'other'),
]


@pytest.mark.verdict('refused')
@pytest.mark.parametrize('start', [bank_run, classifier])
@pytest.mark.parametrize('classes, name', ROWS)
def test_other_classes(tmp_path, start, classes, name):
    sets = folder(tmp_path / 'a', FOUR), folder(tmp_path / 'b', classes)
    with pytest.raises(ValueError, match=f'_dataloader has 1: {name}'):
        start(tmp_path, *sets)()


@pytest.mark.verdict('works')
@pytest.mark.parametrize('start', [bank_run, classifier])
def test_the_same_classes(tmp_path, start):
    sets = folder(tmp_path / 'a', FOUR), folder(tmp_path / 'b', FOUR)
    start(tmp_path, *sets)()


@pytest.mark.verdict('refused')
def test_the_head_of_a_classifier(tmp_path):
    sets = folder(tmp_path / 'a', FOUR), folder(tmp_path / 'b', FOUR)
    with pytest.raises(ValueError, match='model.head.num_classes=3'):
        classifier(tmp_path, *sets, 3)()
    classifier(tmp_path, *sets, 5)()
