# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Recipes for ImageNet and for a folder train for two epochs, made small."""

import copy

import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from pauc_mm.datasets import IMAGENET100_CLASSES
from tests.test_configs.recipes import load, save_image

SMALL = {224: 32, 96: 16, 256: 36}  # pixels
# One epoch of warm-up, then an E-step.
E_STEP = {
    'model.num_clusters': [2, 3],
    'model.queue_len': 16,
    'model.proto_head.num_negatives': 4,
    'default_hooks.clustering.warmup_epochs': 1,
    'default_hooks.clustering.num_workers': 0,
    'default_hooks.clustering.kmeans.device': 'cpu',
}
IN1K = {
    'mocov2': {'model.queue_len': 16},
    'simclr': {},
    'swav': {
        'default_hooks.swav.batch_size': 4,
        'default_hooks.swav.queue_length': 8,
        'default_hooks.swav.epoch_queue_starts': 1,
        'default_hooks.swav.frozen_layers_cfg.prototypes': 3,
        'model.head.loss.num_prototypes': 4,
    },
    'byol': {},
    'pauc': E_STEP,
    'pclv2': {**E_STEP, 'model.neck.hid_channels': 32},
}

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpretrain')


def small(name, work_dir, changes, classes=None):
    """A recipe with a narrow ResNet-18, few pixels, four images a batch."""
    cfg = load(name)
    cfg.merge_from_dict(
        {
            'work_dir': str(work_dir),
            'experiment_name': f'test_{work_dir}'.replace('/', '_'),
            'train_cfg.max_epochs': 2,
            'train_cfg.val_interval': 2,
            'model.backbone.depth': 18,
            'model.backbone.base_channels': 4,
            'model.backbone.stem_channels': 4,
            'model.neck.in_channels': 32,
            'train_dataloader.batch_size': 4,
            'default_hooks.logger.interval': 1,
            **changes,
        }
    )
    loaders = [cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader]
    for loop in (cfg.val_cfg, cfg.test_cfg):
        if 'bank_dataloader' in loop:
            loaders.append(loop.bank_dataloader)
    for loader in loaders:
        loader.num_workers = 0
        shrink(loader.dataset.pipeline)
        if classes:
            loader.dataset.classes = classes
    if 'clustering' in cfg.default_hooks:
        shrink(cfg.default_hooks.clustering.pipeline)
    if cfg.val_evaluator[0].type == 'KNNAccuracy':
        cfg.val_evaluator[0].k = (1, 3)
    return cfg


def shrink(transforms):
    for transform in transforms:
        for view in transform.get('transforms', []):
            if isinstance(view, list):
                shrink(view)
        for key in {'scale', 'crop_size'} & transform.keys():
            transform[key] = SMALL.get(transform[key], transform[key])


def train(cfg):
    """Train, and return the runner and the metrics of the last epoch."""
    runner = Runner.from_cfg(cfg)
    before = copy.deepcopy(runner.model.state_dict())
    runner.train()
    after = runner.model.state_dict()
    assert all(value.isfinite().all() for value in after.values())
    for key, value in before.items():
        if key.startswith(('backbone.conv1', 'head.loss_module.prototypes')):
            assert not torch.equal(value, after[key])
    if 'clustering' in cfg.default_hooks:
        assert runner.model.prototypes.ready
    return runner, {
        key.removeprefix('val/'): history.data[0][-1]
        for key, history in runner.message_hub.log_scalars.items()
        if key.startswith('val/')
    }


def imagenet(root, monkeypatch, wnids, counts, size=(48, 40)):
    for split, count in counts.items():
        for wnid in wnids:
            for i in range(count):
                save_image(root / split / wnid / f'{i}.JPEG', size)
    monkeypatch.setenv('IMAGENET_ROOT', str(root))


# BYOL's epoch here is shorter than the steps whose gradients it sums up.
@pytest.mark.filterwarnings(
    'ignore:Detected call of `scheduler.step:UserWarning'
)
@pytest.mark.parametrize('method', IN1K)
def test_imagenet(method, tmp_path, monkeypatch):
    wnids = ('n01440764', 'n01443537')
    counts = dict(train=6, val=3)
    imagenet(tmp_path / 'imagenet', monkeypatch, wnids, counts)
    cfg = small(
        f'{method}_r50_8xb32_in1k',
        tmp_path / 'work',
        IN1K[method],
        ['tench', 'goldfish'],
    )
    runner, metrics = train(cfg)
    assert runner.iter == 6
    assert 0 <= metrics['knn/k3'] <= 1
    assert metrics['nemd/value'] > 0
    assert len([*(tmp_path / 'work').glob('epoch_*.pth')]) == 2
    if method == 'swav':
        queue = torch.load(tmp_path / 'work/queue.pth', weights_only=True)
        assert queue['queue'].shape == (2, 8, 128)
        assert queue['queue'].any()


def test_imagenet100(tmp_path, monkeypatch):
    wnids = [wnid for wnid, _ in IMAGENET100_CLASSES]
    counts = dict(train=1, val=2)
    imagenet(tmp_path / 'imagenet', monkeypatch, wnids, counts)
    cfg = small('pauc_r50_8xb32_in100', tmp_path / 'work', E_STEP)
    cfg.train_dataloader.batch_size = 16
    cfg.val_evaluator[1].num_pairs = 20
    assert train(cfg)[1]['nemd/num_groups'] == 100


def test_folder(tmp_path, monkeypatch):
    for i in range(10):
        save_image(tmp_path / 'photos' / str(i % 3) / f'{i}.JPG')
    broken = save_image(tmp_path / 'photos' / 'broken.jpg')
    broken.write_bytes(broken.read_bytes()[:300])
    monkeypatch.setenv('DATA_ROOT', str(tmp_path / 'photos'))
    monkeypatch.setenv('IMAGE_SIZE', '32')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    cfg = small('pauc_r18_folder', tmp_path / 'work', E_STEP)
    with pytest.raises(ValueError, match='broken.jpg'):
        Runner.from_cfg(cfg).train()
    monkeypatch.setenv('CORRUPT', 'skip')
    cfg = small('pauc_r18_folder', tmp_path / 'skip', E_STEP)
    cfg.val_evaluator[0].num_clusters = 3
    runner, metrics = train(cfg)
    assert len(runner.train_dataloader.dataset) == 10
    assert metrics['nemd/value'] > 0
