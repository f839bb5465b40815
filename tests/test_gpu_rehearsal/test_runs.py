"""Whole runs on a GPU that is not there give what a CPU gives."""

import pytest
import torch
from mmengine.runner import Runner

from tests.helpers import PLAIN, assert_same, run_cfg

from .fake_cuda import fake_cuda


def run(folder, kmeans, **changes):
    cfg = run_cfg(folder, max_epochs=3, **changes)
    cfg.default_hooks.clustering.kmeans = dict(type=kmeans)
    cfg.default_hooks.collapse_monitor = dict(
        type='CollapseMonitorHook', interval=1, pipeline=PLAIN
    )
    # All others are negatives, in whatever order they are drawn.
    cfg.model.proto_head.num_negatives = 8
    runner = Runner.from_cfg(cfg)
    runner.train()
    device = next(runner.model.parameters()).device.type
    saved = torch.load(folder / 'epoch_3.pth')
    made = saved['clustering']
    parts = [made[k] for k in ('centroids', 'concentrations', 'assignments')]
    return device, [saved['state_dict'], *parts]


@pytest.mark.slow
@pytest.mark.parametrize('kmeans', ['ShardedKMeans', 'FaissKMeans'])
@pytest.mark.filterwarnings('ignore::FutureWarning')
def test_training_and_resuming(kmeans, tmp_path, monkeypatch):
    device, want = run(tmp_path / 'cpu', kmeans)
    assert device == 'cpu'
    with monkeypatch.context() as patch, fake_cuda(patch, values=True):
        device, got = run(tmp_path / 'gpu', kmeans)
        middle = str(tmp_path / 'gpu' / 'epoch_2.pth')
        _, resumed = run(
            tmp_path / 'again', kmeans, load_from=middle, resume=True
        )
    assert device == 'cuda'
    assert_same(resumed, got)
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4)
