# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
from mmengine.registry import DATA_SAMPLERS
from mmengine.runner import Runner

from tests.helpers import run_cfg


def moco_cfg(tmp_path, **changes):
    """mmpretrain's MoCo in batches of 16 of 48 images."""
    cfg = run_cfg(tmp_path, kind='PCL', max_epochs=1)
    cfg.model.type = 'MoCo'
    del cfg.model['num_clusters'], cfg.model['proto_head']
    del cfg.default_hooks['clustering']
    cfg.merge_from_dict(changes)
    return cfg


def test_a_fitting_setup_trains(tmp_path):
    runner = Runner.from_cfg(moco_cfg(tmp_path))
    runner.train()
    assert runner.iter == 3


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'model.queue_len': 60}, r'queue_len=60 .* model.queue_len=64'),
        ({'model.head.temperature': 0.0}, 'model.head.temperature must be'),
        (
            {
                'train_dataloader.drop_last': False,
                'train_dataloader.dataset.num_images': 50,
            },
            'drop_last must be True',
        ),
    ],
)
def test_what_mmpretrain_leaves_unchecked(tmp_path, changes, message):
    runner = Runner.from_cfg(moco_cfg(tmp_path, **changes))
    with pytest.raises(ValueError, match=message):
        runner.train()
    assert runner.iter == 0


@DATA_SAMPLERS.register_module()
class Tens:
    """A batch sampler of one's own, which does not say its batch size."""

    def __init__(self, sampler, batch_size):
        self.order = list(sampler)

    def __iter__(self):
        return iter([self.order[:10], self.order[10:20]])

    def __len__(self):
        return 2


@DATA_SAMPLERS.register_module()
class HonestTens(Tens):
    batch_size = 10


@pytest.mark.parametrize(
    'sampler, message',
    [(HonestTens, 'queue_len=64 .* batch of 10'), (Tens, 'has no attribute')],
)
def test_a_batch_sampler_decides_the_batch(tmp_path, sampler, message):
    cfg = moco_cfg(tmp_path)
    del cfg.train_dataloader.drop_last
    cfg.train_dataloader.batch_sampler = dict(type=sampler.__name__)
    with pytest.raises(ValueError, match=message):
        Runner.from_cfg(cfg).train()


def test_pcl_takes_any_batch(tmp_path):
    cfg = run_cfg(tmp_path, kind='PCL', max_epochs=2)
    cfg.model.queue_len = 61
    Runner.from_cfg(cfg).train()
    assert cfg.model.queue_len % cfg.train_dataloader.batch_size
