# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A few images in the layouts of ImageNet, Places205 and VOC2007."""

import numpy as np
import pytest
import torch
from PIL import Image

from pauc_mm.datasets import IMAGENET100_CLASSES

COLOURS = ((220, 60, 60), (60, 60, 220))
PLACES = 'data/vision/torralba/deeplearning/images256'
XML = """<annotation>{objects}</annotation>"""
OBJECT = '<object><name>{0}</name><difficult>{1}</difficult></object>'


def save(path, kind, seed):
    pixels = np.random.default_rng(seed).integers(0, 60, (72, 80, 3))
    pixels = (pixels + COLOURS[kind]).clip(0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(lines) + '\n')


@pytest.fixture(scope='session')
def imagenet_root(tmp_path_factory):
    """Two classes that ImageNet-100 has too, 4 images to train, 2 to test."""
    root = tmp_path_factory.mktemp('imagenet')
    for split, each in (('train', 4), ('val', 2)):
        lines = []
        for kind, (wnid, label) in enumerate(IMAGENET100_CLASSES[:2]):
            for i in range(each):
                name = f'{wnid}/{wnid}_{i}.JPEG'
                save(root / split / name, kind, i)
                lines.append(f'{name} {label}')
        write(root / 'meta' / f'{split}.txt', lines)
    return root


@pytest.fixture(scope='session')
def places_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('places205')
    for split in ('train', 'val'):
        lines = []
        for kind, name in enumerate(('a/abbey', 'v/volcano')):
            path = f'{name}/gsun_{split}.jpg'
            save(root / PLACES / path, kind, kind)
            lines.append(f'{path} {kind * 204}')
        write(root / f'trainvalsplit_places205/{split}_places205.csv', lines)
    return root


@pytest.fixture(scope='session')
def voc_root(tmp_path_factory):
    """Each image has one class, and the last a difficult one besides."""
    root = tmp_path_factory.mktemp('VOCdevkit')
    voc = root / 'VOC2007'
    names = ('cat', 'car')
    for split in ('trainval', 'test'):
        ids = [f'{split}{i}' for i in range(4)]
        for i, name in enumerate(ids):
            save(voc / 'JPEGImages' / f'{name}.jpg', i % 2, i)
            objects = OBJECT.format(names[i % 2], 0)
            objects += OBJECT.format('dog', 1) if i == 3 else ''
            write(
                voc / 'Annotations' / f'{name}.xml',
                [XML.format(objects=objects)],
            )
        write(voc / 'ImageSets/Main' / f'{split}.txt', ids)
    return root


@pytest.fixture
def roots(monkeypatch, imagenet_root, places_root, voc_root):
    monkeypatch.setenv('IMAGENET_ROOT', str(imagenet_root))
    monkeypatch.setenv('PLACES_ROOT', str(places_root))
    monkeypatch.setenv('VOC_ROOT', str(voc_root))


def save_backbone(path, cfg):
    """A checkpoint of pretraining with the backbone of a config."""
    from mmpretrain.registry import MODELS

    torch.manual_seed(5)
    backbone = MODELS.build(cfg)
    backbone.init_weights()
    for module in backbone.modules():  # statistics that one would notice
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            torch.nn.init.ones_(module.weight)  # zero ends a residual block
    state = {f'backbone.{k}': v for k, v in backbone.state_dict().items()}
    state['neck.fc.weight'] = torch.zeros(2, 2)
    torch.save(dict(meta={}, state_dict=state), path)
    return path


@pytest.fixture(scope='session')
def resnet18(tmp_path_factory):
    path = tmp_path_factory.mktemp('resnet18') / 'epoch_200.pth'
    return save_backbone(path, dict(type='mmpretrain.ResNet', depth=18))


@pytest.fixture(scope='session')
def tiny(tmp_path_factory):
    """Random weights, with the statistics of the digits in BatchNorm."""
    from mmpretrain.registry import MODELS

    from pauc_mm.datasets import SklearnDigits

    path = tmp_path_factory.mktemp('tiny') / 'epoch_120.pth'
    cfg = dict(type='mmpretrain.TinyConvNet', strides=(2, 2, 2))
    save_backbone(path, cfg)
    content = torch.load(path, weights_only=True)
    torch.manual_seed(5)
    backbone = MODELS.build(cfg).train()
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    data = SklearnDigits()
    x = np.stack([data[i]['img'] for i in range(len(data))])
    with torch.no_grad():
        backbone((torch.from_numpy(x).permute(0, 3, 1, 2) - 127.5) / 127.5)
    for key, value in backbone.state_dict().items():
        content['state_dict'][f'backbone.{key}'] = value
    torch.save(content, path)
    return path
