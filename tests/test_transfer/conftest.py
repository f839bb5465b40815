# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS

from pauc_mm.utils.shipped_files import resolve_config
from tests.test_transfer.helpers import write_folders, write_voc

TRAIN, TEST = range(8), range(8, 12)


def save_checkpoint(cfg, path):
    """The untrained model of a config, as mmengine saves it."""
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    meta = dict(cfg=cfg.pretty_text, epoch=0)
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return path


@pytest.fixture(scope='session')
def digits_config():
    return Config.fromfile(resolve_config('pauc_mm::pauc_tiny_digits.py'))


@pytest.fixture(scope='session')
def checkpoint(digits_config, tmp_path_factory):
    path = tmp_path_factory.mktemp('checkpoint') / 'epoch_0.pth'
    return save_checkpoint(digits_config, path)


@pytest.fixture(scope='session')
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp('folders')
    return write_folders(root / 'a', TRAIN), write_folders(root / 'b', TEST)


@pytest.fixture(scope='session')
def voc(tmp_path_factory):
    """18 images to train on, 9 to test on; red and green are seldom alone."""
    labels = {}
    for split, start, number in (('trainval', 1, 18), ('test', 50, 9)):
        ids = [f'{i:06}' for i in range(start, start + number)]
        labels[split] = dict(
            green={i: 1 if n % 2 else -1 for n, i in enumerate(ids)},
            red={i: (1, -1, 0)[n % 3] for n, i in enumerate(ids)},
        )
    return write_voc(tmp_path_factory.mktemp('voc'), labels)
