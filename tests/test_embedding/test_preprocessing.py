# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The one decision on a network's input: a new kind of config is a row."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from pauc_mm.embedding.preprocessing import (
    describe_input,
    file_pipeline,
    image_shape,
    input_line,
    loads_files,
)
from pauc_mm.utils.shipped_files import resolve_config
from tests.test_diagnosis.stubs import encoder

PACK = dict(type='PackInputs')
LOAD = dict(type='LoadImageFromFile')
CROP_40 = [LOAD, dict(type='CenterCrop', crop_size=40), PACK]
TO_RGB = [dict(type='NumpyToPIL', to_rgb=True), dict(type='PILToNumpy')]
TO_BGR = [TO_RGB[0], dict(type='PILToNumpy', to_bgr=True)]
DIGITS = dict(type='SklearnDigits')
ARRAYS = dict(pipeline=[PACK], dataset=DIGITS)


def trained(*steps, views=False):
    """A config that only trains."""
    if views:
        view = dict(type='MultiView', num_views=[2], transforms=[list(steps)])
        steps = [LOAD, view, PACK]
    inner = dict(type='X', dataset=dict(pipeline=list(steps)))
    dataset = dict(type='RepeatDataset', dataset=inner)
    return dict(config=dict(train_dataloader=dict(dataset=dataset)))


def crop(kind, **size):
    return dict(type=kind, **size)


SIDES = {
    'nothing is known': ({}, 224, 'assumed'),
    'arrays of 16 pixels by default': (ARRAYS, 16, 'SklearnDigits'),
    'arrays of 20 pixels': (
        dict(ARRAYS, dataset=dict(type='SklearnDigits', size=20)),
        20,
        'SklearnDigits',
    ),
    'a backbone that was extracted': (
        dict(pipeline=[PACK], config=dict(image_size=20)),
        20,
        'converter',
    ),
    'only training crops': (
        trained(LOAD, crop('RandomResizedCrop', scale=96), PACK),
        96,
        'training crops',
    ),
    'training crops of torchvision': (
        trained(
            crop('torchvision/RandomResizedCrop', size=64, scale=(0.2, 1.0))
        ),
        64,
        'training crops',
    ),
    'the larger of several crops': (
        trained(
            crop('RandomResizedCrop', scale=32),
            crop('RandomResizedCrop', scale=80),
            views=True,
        ),
        80,
        'training crops',
    ),
    'training images that are resized': (
        trained(
            LOAD,
            crop('RandomCrop', crop_size=(0.8, 0.8)),  # a share
            crop('Resize', scale_factor=0.5),
            crop('Resize', scale=(60, 60)),
            PACK,
        ),
        60,
        'training crops',
    ),
    'crops go before resizing': (
        trained(
            LOAD,
            crop('Resize', scale=60),
            crop('RandomCrop', crop_size=48),
            PACK,
        ),
        48,
        'training crops',
    ),
    'the longer side of a crop': (
        trained(LOAD, crop('RandomCrop', crop_size=(40, 48)), PACK),
        48,
        'training crops',
    ),
    'what the converter noted goes before training': (
        dict(
            config=dict(
                trained(crop('RandomCrop', crop_size=96))['config'],
                image_size=20,
            )
        ),
        20,
        'converter',
    ),
    'tests go before what the converter noted': (
        dict(ARRAYS, config=dict(image_size=20)),
        16,
        'SklearnDigits',
    ),
    'a data set goes with its transforms, or does not count': (
        {**trained(crop('RandomCrop', crop_size=96)), 'dataset': DIGITS},
        96,
        'training crops',
    ),
    'tests go before training': (
        {**trained(crop('RandomCrop', crop_size=96)), **ARRAYS},
        16,
        'SklearnDigits',
    ),
}


@pytest.mark.parametrize('case', SIDES)
def test_what_decides_the_size(case):
    changes, side, reason = SIDES[case]
    pipeline, _, decided_by = file_pipeline(encoder(**changes))
    assert [s['crop_size'] for s in pipeline if 'crop_size' in s] == [side]
    assert [s['scale'] for s in pipeline if 'scale' in s] == [side * 8 // 7]
    assert reason in decided_by
    (edge,) = (s for s in pipeline if 'edge' in s)
    assert edge['edge'] == 'short' and edge['backend'] == 'pillow'
    pipeline, _, decided_by = file_pipeline(encoder(**changes), 48)
    assert [s['crop_size'] for s in pipeline if 'crop_size' in s] == [48]
    assert decided_by == 'by --image-size'


@pytest.mark.parametrize(
    'changes',
    [trained(dict(type='RandomFlip'), PACK), dict(pipeline=[PACK])],
)
def test_pipelines_that_do_not_tell_the_size(changes):
    with pytest.raises(ValueError, match='--image-size'):
        file_pipeline(encoder(**changes))


def test_a_pipeline_that_loads_files_is_taken_as_it_is():
    own = encoder(pipeline=CROP_40)
    steps, bgr, _ = file_pipeline(own)
    assert steps == CROP_40 and bgr
    steps[1]['crop_size'] = 1  # a copy
    assert own.pipeline[1]['crop_size'] == 40


ORDERS = {
    'files': (dict(pipeline=CROP_40), True),
    'files turned': (dict(pipeline=[LOAD, *TO_RGB, *CROP_40[1:]]), False),
    'turned and back': (dict(pipeline=[LOAD, *TO_BGR, *CROP_40[1:]]), True),
    'arrays, turned by the preprocessor': (ARRAYS, True),
    'arrays': (dict(ARRAYS, preprocess=dict(to_rgb=False)), False),
    'trained on files': (
        trained(LOAD, crop('RandomCrop', crop_size=8), *TO_RGB),
        False,
    ),
    'nothing is known': ({}, True),
    'nothing is known of files': (dict(preprocess=dict(to_rgb=False)), True),
    'tested on files, trained on turned ones': (
        {**trained(LOAD, *TO_RGB), 'pipeline': CROP_40},
        True,
    ),
}


@pytest.mark.parametrize('image_size', [None, 16])
@pytest.mark.parametrize('case', ORDERS)
def test_order_of_the_channels(case, image_size):
    changes, bgr = ORDERS[case]
    pipeline, got, _ = file_pipeline(encoder(**changes), image_size)
    kinds = [step['type'] for step in pipeline]
    assert got is bgr
    assert ('PILToNumpy' in kinds) == (
        not bgr or 'back' in case and not image_size
    )


LOADS = {
    1: (dict(channels=1), 'grayscale'),
    3: (dict(channels=3), 'color'),
    4: (
        dict(
            channels=4,
            pipeline=[dict(LOAD, color_type='unchanged'), *CROP_40[1:]],
        ),
        'unchanged',
    ),
}


@pytest.mark.parametrize('channels', LOADS)
def test_channels_of_the_network(channels):
    changes, colour = LOADS[channels]
    pipeline, _, _ = file_pipeline(encoder(**changes), 16)
    assert pipeline[0] == dict(LOAD, color_type=colour)


def test_grey_images_have_no_order_of_channels():
    grey = encoder(**ARRAYS, channels=1, preprocess=dict(to_rgb=False))
    pipeline, bgr, _ = file_pipeline(grey)
    kinds = [step['type'] for step in pipeline]
    assert not bgr
    assert kinds == [LOAD['type'], 'ResizeEdge', 'CenterCrop', PACK['type']]


def test_files_are_not_loaded_as_in_training():
    own = encoder(**trained(dict(LOAD, color_type='unchanged')))
    assert file_pipeline(own, 16)[0][0] == dict(LOAD, color_type='color')


@pytest.mark.parametrize('channels', [2, 4])
def test_channels_that_nothing_tells_how_to_load(channels):
    with pytest.raises(ValueError, match=f'{channels} channels.*--config'):
        file_pipeline(encoder(channels=channels))


def test_the_shipped_configs_tell_their_size():
    from mmengine.registry import init_default_scope

    from pauc_mm.checkpoints.config import named_config

    init_default_scope('mmpretrain')
    for name, side in (('pauc_tiny_digits', 16), ('pauc_r18_folder', 128)):
        cfg = Config.fromfile(resolve_config(name))
        pipeline, dataset = named_config(copy.deepcopy(cfg)).data()
        own = encoder(config=cfg, pipeline=pipeline, dataset=dataset)
        steps, _, _ = file_pipeline(own)
        assert [s['crop_size'] for s in steps if 'crop_size' in s] == [side]


@pytest.mark.parametrize('kind', ['LoadImageFromFile', 'LoadImageAs8Bit'])
def test_whatever_loads_images_loads_files(kind):
    assert loads_files([PACK, dict(type=kind)]) and not loads_files([PACK])


class Images(list):
    pipeline = SimpleNamespace(transforms=[('a', 1), 'b'])


@pytest.mark.parametrize('views', [1, 2])
def test_the_input_is_described_in_the_order_of_its_axes(views):
    images = [torch.zeros(3, 4, 5), torch.zeros(3, 6, 7)][:views]
    dataset = Images([dict(inputs=images if views > 1 else images[0])])
    assert image_shape(dataset) == [3, 4, 5]
    preprocess = dict(mean=[1], std=[2], to_rgb=True)
    facts = describe_input(
        encoder(preprocess=preprocess),
        SimpleNamespace(dataset=dataset, decided_by='as told'),
    )
    assert facts == dict(
        channels=3,
        height=4,
        width=5,
        decided_by='as told',
        pipeline=["('a', 1)", "'b'"],
        **preprocess,
    )
    assert input_line(facts) == (
        'network input: 4 x 5 pixels, channels: 3, as told'
    )
