# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

pytest.importorskip('mmdet')

from mmdet.datasets.samplers import AspectRatioBatchSampler
from mmengine.dataset import InfiniteSampler

from pauc_mm.detection import DetectorPreciseBNHook


class Points(Dataset):
    """Twelve images of two channels, every third of them upright."""

    def __init__(self):
        self.pixels = torch.randn(12, 2, 3, 3)

    def __len__(self):
        return 12

    def __getitem__(self, index):
        return dict(inputs=self.pixels[index])

    def get_data_info(self, index):
        return dict(width=2, height=3 if index % 3 == 0 else 1)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(2)
        self.seen = []

    def data_preprocessor(self, data, training):
        return data

    def forward(self, inputs):
        self.seen.append(inputs)
        return self.norm(inputs)


def test_statistics_are_those_of_the_batches_and_training_goes_on():
    torch.manual_seed(0)
    dataset, model = Points(), Model()
    sampler = InfiniteSampler(dataset, shuffle=True, seed=1)
    loader = DataLoader(
        dataset, batch_sampler=AspectRatioBatchSampler(sampler, 2)
    )
    training = iter(loader)
    next(training)  # mmdet's sampler is in the middle of a batch
    runner = SimpleNamespace(
        model=model, train_dataloader=loader, seed=3, logger='silent'
    )
    DetectorPreciseBNHook(num_samples=1000)._perform_precise_bn(runner)
    assert len(model.seen) == 6
    # All images once, in batches of one shape each.
    pixels = torch.cat(model.seen)
    assert pixels.sum().item() == pytest.approx(
        dataset.pixels.sum().item(), abs=1e-4
    )
    mean = torch.stack([x.mean(dim=(0, 2, 3)) for x in model.seen]).mean(0)
    torch.testing.assert_close(model.norm.running_mean, mean)
    var = [x.transpose(0, 1).flatten(1).var(dim=1) for x in model.seen]
    expected = torch.stack(var).mean(0)
    torch.testing.assert_close(model.norm.running_var, expected)
    assert model.norm.momentum == 0.1
    assert len(next(training)['inputs']) == 2


def test_fewer_steps():
    torch.manual_seed(0)
    dataset, model = Points(), Model()
    loader = DataLoader(dataset, batch_size=4)
    runner = SimpleNamespace(
        model=model, train_dataloader=loader, seed=3, logger='silent'
    )
    DetectorPreciseBNHook(num_samples=9)._perform_precise_bn(runner)
    assert [len(x) for x in model.seen] == [4, 4]
