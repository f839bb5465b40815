# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Two images with two objects each, in COCO's and in VOC's form."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

if find_spec('mmdet'):  # before a test imports a part of it
    import pauc_mm.detection  # noqa: F401

SIZE = 64
# x, y, width, height of the objects of each image; all are cats or cars.
BOXES = [
    [(4, 6, 24, 30), (36, 20, 22, 34)],
    [(10, 10, 40, 20), (6, 36, 20, 24)],
]
VOC_XML = """<annotation><size><width>{size}</width><height>{size}</height>
<depth>3</depth></size>{objects}</annotation>"""
VOC_OBJECT = """<object><name>{name}</name><difficult>0</difficult><bndbox>
<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>
</object>"""


def draw(boxes, seed):
    pixels = np.random.default_rng(seed).integers(0, 90, (SIZE, SIZE, 3))
    for colour, (x, y, w, h) in zip(((255, 40, 40), (40, 40, 255)), boxes):
        pixels[y : y + h, x : x + w] = colour
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture(scope='session')
def coco_root(tmp_path_factory):
    from mmdet.datasets import CocoDataset

    root = tmp_path_factory.mktemp('coco')
    images, annotations = [], []
    for i, boxes in enumerate(BOXES):
        images.append(
            dict(id=i, file_name=f'{i}.jpg', width=SIZE, height=SIZE)
        )
        for category, (x, y, w, h) in zip((16, 3), boxes):
            outline = [x, y, x + w, y, x + w, y + h, x, y + h]
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=i,
                    category_id=category,
                    bbox=[x, y, w, h],
                    area=w * h,
                    iscrowd=0,
                    segmentation=[outline],
                )
            )
    content = dict(
        images=images,
        annotations=annotations,
        categories=[
            dict(id=i, name=name)
            for i, name in enumerate(CocoDataset.METAINFO['classes'], 1)
        ],
    )
    (root / 'annotations').mkdir()
    for split in ('train2017', 'val2017'):
        (root / split).mkdir()
        for i, boxes in enumerate(BOXES):
            draw(boxes, i).save(root / split / f'{i}.jpg')
        path = root / 'annotations' / f'instances_{split}.json'
        path.write_text(json.dumps(content))
    return root


@pytest.fixture(scope='session')
def voc_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('VOCdevkit')
    for year in ('VOC2007', 'VOC2012'):
        for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
            (root / year / folder).mkdir(parents=True)
        for i, boxes in enumerate(BOXES):
            draw(boxes, i).save(root / year / 'JPEGImages' / f'{i}.jpg')
            objects = ''.join(
                VOC_OBJECT.format(
                    name=name, x1=x + 1, y1=y + 1, x2=x + w, y2=y + h
                )
                for name, (x, y, w, h) in zip(('cat', 'car'), boxes)
            )
            (root / year / 'Annotations' / f'{i}.xml').write_text(
                VOC_XML.format(size=SIZE, objects=objects)
            )
        for split in ('trainval', 'test'):
            path = root / year / 'ImageSets' / 'Main' / f'{split}.txt'
            path.write_text('0\n1\n')
    return root


@pytest.fixture(scope='session')
def checkpoint(tmp_path_factory):
    """A pretraining checkpoint of mmpretrain's ResNet-18."""
    from mmpretrain.registry import MODELS

    import pauc_mm  # noqa: F401

    torch.manual_seed(5)
    backbone = MODELS.build(dict(type='mmpretrain.ResNet', depth=18))
    backbone.init_weights()
    state = {f'backbone.{k}': v for k, v in backbone.state_dict().items()}
    state['neck.fc.weight'] = torch.zeros(2, 2)
    path = tmp_path_factory.mktemp('checkpoint') / 'epoch_200.pth'
    torch.save(dict(meta={}, state_dict=state), path)
    return path


@pytest.fixture(scope='session')
def detection_configs():
    return Path(__file__).parents[2] / 'configs/benchmarks/detection'
