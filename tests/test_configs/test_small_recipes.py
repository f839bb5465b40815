# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""SwAV, SimCLR and BYOL on the small sets: mmpretrain's, in our runtime."""

import copy
import math

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from pauc_mm.models.embed import embed_images
from tests.test_configs.recipes import MMPRETRAIN, load

THEIRS = {
    'swav': 'swav/swav_resnet50_8xb32-mcrop-coslr-200e_in1k-224px-96px.py',
    'simclr': 'simclr/simclr_resnet50_8xb32-coslr-200e_in1k.py',
    'byol': 'byol/byol_resnet50_16xb256-coslr-200e_in1k.py',
}
METHODS = sorted(THEIRS)
TINY_NET = dict(type='TinyConvNet', channels=(32, 64, 128), strides=(2, 2, 2))
BATCH_NORM = dict(type='BN1d')


@pytest.fixture(autouse=True)
def scope(monkeypatch):
    init_default_scope('mmpretrain')
    # yapf takes seconds to lay out a config for the log.
    monkeypatch.setattr(Config, 'pretty_text', property(repr))


# ---- the model is mmpretrain's but for what small images need --------------
CHANGES = {
    'swav': {
        'neck.in_channels': 128,
        'neck.hid_channels': 128,
        'neck.out_channels': 64,
        'neck.norm_cfg': BATCH_NORM,
        'head.loss.feat_dim': 64,
        'head.loss.num_crops': [2],
        'head.loss.num_prototypes': 64,
    },
    'simclr': {
        'neck.in_channels': 128,
        'neck.hid_channels': 128,
        'neck.out_channels': 64,
        'neck.norm_cfg': BATCH_NORM,
    },
    'byol': {
        'neck.in_channels': 128,
        'neck.hid_channels': 256,
        'neck.out_channels': 64,
        'neck.norm_cfg': BATCH_NORM,
        'head.predictor.in_channels': 64,
        'head.predictor.hid_channels': 256,
        'head.predictor.out_channels': 64,
        'head.predictor.norm_cfg': BATCH_NORM,
    },
}


@pytest.mark.parametrize('data', ['digits', 'mnist'])
@pytest.mark.parametrize('method', METHODS)
def test_model_is_mmpretrains(method, data):
    theirs = load(MMPRETRAIN / THEIRS[method])
    theirs.model.pop('data_preprocessor', None)  # of the data here
    theirs.model.backbone = TINY_NET
    theirs.merge_from_dict(
        {f'model.{key}': value for key, value in CHANGES[method].items()}
    )
    ours = load(f'{method}_tiny_{data}')
    assert ours.model.to_dict() == theirs.model.to_dict()
    assert not ours.get('custom_hooks')  # SwAVHook writes beside checkpoints


# ---- training --------------------------------------------------------------
def recipe(method, work_dir, epochs=2, **changes):
    cfg = load(f'{method}_tiny_digits')
    cfg.merge_from_dict(
        {
            'work_dir': str(work_dir),
            'experiment_name': f'test_{method}_{work_dir}'.replace('/', '_'),
            'train_cfg.max_epochs': epochs,
            'train_cfg.val_interval': epochs,
            'train_dataloader.num_workers': 0,
            # 287 images: two steps an epoch.
            'train_dataloader.dataset.fraction': 0.2,
            'default_hooks.checkpoint.interval': 1,
            'default_hooks.logger.interval': 1,
            **changes,
        }
    )
    return cfg


def final(work_dir, epoch):
    return torch.load(work_dir / f'epoch_{epoch}.pth', weights_only=True)


def flat(state, where=''):
    """Tensors and numbers of nested containers by their place."""
    if isinstance(state, dict):
        items = state.items()
    elif isinstance(state, (list, tuple)):
        items = enumerate(state)
    else:
        return {where: state}
    found = {}
    for key, value in items:
        found.update(flat(value, f'{where}.{key}'))
    return found


@pytest.mark.slow
@pytest.mark.parametrize('method', METHODS)
def test_resumed_run_ends_as_the_whole_one_and_is_tested(method, tmp_path):
    whole = Runner.from_cfg(recipe(method, tmp_path / 'whole', epochs=3))
    before = copy.deepcopy(whole.model.state_dict())
    whole.train()
    after = whole.model.state_dict()
    assert any(
        not torch.equal(before[key], after[key])
        for key in after
        if key.startswith('backbone.')
    )

    # Stopped after the second epoch of three.
    class Stopped(Exception):
        pass

    class Stop(Hook):
        priority = 'LOWEST'

        def before_train_epoch(self, runner):
            if runner.epoch == 2:
                raise Stopped

    cut = tmp_path / 'cut'
    runner = Runner.from_cfg(
        recipe(method, cut, epochs=3, experiment_name=f'{method}_cut')
    )
    runner.register_hook(Stop())
    with pytest.raises(Stopped):
        runner.train()
    assert not (cut / 'epoch_3.pth').exists()
    torch.manual_seed(99)
    np.random.seed(99)
    resumed = Runner.from_cfg(
        recipe(
            method,
            cut,
            epochs=3,
            experiment_name=f'{method}_resumed',
            resume=True,
        )
    )
    resumed.train()
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        expected = flat(final(tmp_path / 'whole', 3)[part])
        found = flat(final(cut, 3)[part])
        assert expected.keys() == found.keys()
        for key, value in expected.items():
            same = (
                torch.equal(value, found[key])
                if isinstance(value, torch.Tensor)
                else value == found[key]
            )
            assert same, f'{part}{key}'

    # All is in the checkpoint: nothing else was written that a run reads.
    left = {p.suffix for p in cut.rglob('*') if p.is_file()}
    assert left <= {'.pth', '.py', '.json', '.log', ''}
    assert not list(cut.rglob('queue*.pth'))

    # The figures of a test are those of the last validation.
    cfg = recipe(method, tmp_path / 'test', experiment_name=f'{method}_test')
    cfg.load_from = str(cut / 'epoch_3.pth')
    tested = Runner.from_cfg(cfg).test()
    history = resumed.message_hub.log_scalars
    for key, value in tested.items():
        if key.startswith(('knn/', 'nemd/')):
            last = history[f'val/{key}'].data[0][-1]
            assert value == pytest.approx(last, rel=1e-6, abs=1e-9), key


@pytest.mark.slow
def test_target_of_byol_follows_by_cosine(tmp_path):
    """BYOL, appendix A: tau = 1 - (1 - tau_base) (cos(pi k / K) + 1) / 2."""
    steps = []

    class Record(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            steps.append([copy.deepcopy(online(runner)), None])

        def after_train_iter(
            self, runner, batch_idx, data_batch=None, outputs=None
        ):
            target = runner.model.target_net.module
            steps[-1][1] = copy.deepcopy(dict(target.named_parameters()))

    def online(runner):
        model = runner.model
        pair = torch.nn.Sequential(model.backbone, model.neck)
        return dict(pair.named_parameters())

    runner = Runner.from_cfg(recipe('byol', tmp_path, epochs=3))
    runner.register_hook(Record())
    runner.train()
    assert len(steps) == 6
    expected = steps[0][0]  # a copy of the online network at first
    for k, (weights, target) in enumerate(steps):
        share = 0.01 * (math.cos(math.pi * k / 6) + 1) / 2 if k else 1.0
        for name, value in expected.items():
            value = (1 - share) * value.detach() + share * weights[name]
            expected[name] = value
            torch.testing.assert_close(target[name], value.detach())
    assert runner.model.target_net.steps == 6
    moved = [
        not torch.equal(steps[0][1][name], steps[-1][1][name])
        for name in expected
    ]
    assert all(moved)
    # Diagnosis and transfer may take either network.
    images = torch.randn(4, 3, 16, 16)
    runner.model.eval()
    features, embeddings = embed_images(runner.model, images)
    averaged, _ = embed_images(runner.model, images, momentum=True)
    assert features.shape == averaged.shape == (4, 128)
    assert embeddings.shape == (4, 64)
    assert not torch.equal(features, averaged)
