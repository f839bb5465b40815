# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
import torchvision
from mmengine.runner import Runner
from PIL import Image

from tests.helpers import run_cfg


@pytest.fixture(scope='session')
def photos(tmp_path_factory):
    """Four folders of 15 images of one colour with noise, of many sizes."""
    root = tmp_path_factory.mktemp('photos')
    rng = np.random.default_rng(0)
    colours = dict(blue=(0, 0, 255), grey=(128,) * 3, red=(255, 0, 0))
    colours['yellow'] = (255, 255, 0)
    for name, colour in colours.items():
        (root / name).mkdir()
        for i in range(15):
            shape = (*rng.integers(30, 60, 2), 3)
            image = np.array(colour) + rng.normal(0, 40, shape)
            image = Image.fromarray(image.clip(0, 255).astype(np.uint8))
            image.save(root / name / f'{i:02}.png')
    return root


@pytest.fixture(scope='session')
def resnet(tmp_path_factory):
    """A checkpoint of torchvision's layout."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('resnet') / 'resnet18.pth'
    torch.save(torchvision.models.resnet18().state_dict(), path)
    return path


@pytest.fixture(scope='session')
def run(tmp_path_factory):
    """Folder of a real run of PAUC on tiny images: epochs 2, 3, 4."""
    folder = tmp_path_factory.mktemp('run')
    evaluation = dict(
        batch_size=16,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        dataset=dict(
            type='TinyImages',
            num_images=48,
            seed=1,
            pipeline=[dict(type='PackInputs')],
        ),
    )
    cfg = run_cfg(
        folder,
        val_dataloader=evaluation,
        val_cfg=dict(type='EmbeddingValLoop'),
        val_evaluator=[dict(type='NEMD')],
    )
    Runner.from_cfg(cfg).train()
    return folder
