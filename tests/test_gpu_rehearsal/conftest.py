import pytest
from mmengine.registry import DefaultScope
from mmpretrain.models import ResNet

from .fake_cuda import fake_cuda


@pytest.fixture
def gpu(monkeypatch):
    """A GPU that computes counters and flags alone."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        with fake_cuda(monkeypatch) as gpu:
            yield gpu


@pytest.fixture
def computing_gpu(monkeypatch):
    """A GPU that computes all, for small things."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        with fake_cuda(monkeypatch, values=True) as gpu:
            yield gpu


@pytest.fixture
def short_resnet(monkeypatch):
    """Leave one block in each stage of ResNet-50, all widths as they are."""
    block, _ = ResNet.arch_settings[50]
    monkeypatch.setitem(ResNet.arch_settings, 50, (block, (1, 1, 1, 1)))
