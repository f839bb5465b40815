# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch
import torchvision
from mmengine.runner import Runner

from tests.helpers import run_cfg
from tests.test_checkpoints.source_models import shaken
from tests.test_checkpoints.test_converters.helpers import (
    to_mmpretrain,
)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture(scope='session')
def r50(tmp_path_factory):
    """torchvision's ResNet-50, and its file for mmpretrain."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('r50')
    model = shaken(torchvision.models.resnet50())
    torch.save(model.state_dict(), folder / 'resnet50-abc.pth')
    to_mmpretrain(folder / 'resnet50-abc.pth', folder / 'r50.pth')
    return model, folder / 'r50.pth'


@pytest.fixture(scope='session')
def trained(tmp_path_factory):
    """The last checkpoint of a real run of PAUC with a TinyConvNet."""
    folder = tmp_path_factory.mktemp('run')
    Runner.from_cfg(run_cfg(folder, max_epochs=2)).train()
    return folder / 'epoch_2.pth'
