# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0

import numpy as np
import pytest
import torch
from mmpretrain.registry import DATASETS

from pauc_mm.datasets import SklearnDigits
from pauc_mm.datasets.packaged_images import held_out_split


@pytest.fixture(scope='module')
def parts():
    return {s: SklearnDigits(split=s) for s in ('train', 'test', 'all')}


def test_sizes_and_balance(parts):
    # 1,797 images in scikit-learn's documentation of load_digits.
    assert [len(parts[s]) for s in ('train', 'test', 'all')] == [
        1437,
        360,
        1797,
    ]
    assert np.bincount(parts['test'].get_gt_labels()).tolist() == [36] * 10


def test_parts_are_disjoint_and_complete():
    from sklearn.datasets import load_digits

    labels = load_digits().target
    train, test = (held_out_split(labels, s, 36) for s in ('train', 'test'))
    assert not set(train) & set(test)
    assert sorted([*train, *test]) == list(range(1797))
    # The split is a constant of the package: figures depend on it.
    assert test[:8].tolist() == [3, 7, 13, 19, 36, 38, 43, 48]
    assert (np.diff(train) > 0).all()


def test_images(parts):
    from sklearn.datasets import load_digits

    digits = load_digits()
    sample = parts['all'].get_data_info(7)
    img = sample['img']
    assert img.shape == (16, 16, 3) and img.dtype == np.uint8
    assert sample['img_shape'] == (16, 16) and sample['ori_shape'] == (8, 8)
    assert sample['gt_label'] == digits.target[7]
    assert (img[..., :1] == img).all()
    # At the original size nothing is interpolated: 0..16 became 0..255.
    plain = SklearnDigits(split='all', size=8, channels=1)
    small = plain.get_data_info(7)['img']
    assert small.shape == (8, 8)
    np.testing.assert_allclose(small, digits.images[7] * 255 / 16, atol=0.5)
    assert small.max() > 200
    # Enlarging keeps the picture: its 2x2 means are close to the original.
    means = img[..., 0].reshape(8, 2, 8, 2).mean((1, 3))
    assert np.corrcoef(means.ravel(), small.ravel())[0, 1] > 0.98


def test_pipeline_from_the_registry():
    dataset = DATASETS.build(
        dict(
            type='SklearnDigits',
            split='test',
            size=20,
            pipeline=[dict(type='PackInputs')],
        )
    )
    packed = dataset[3]
    assert packed['inputs'].shape == (3, 20, 20)
    assert packed['inputs'].dtype == torch.uint8
    assert packed['data_samples'].sample_idx == 3
    assert packed['data_samples'].gt_label.item() == dataset.get_gt_labels()[3]
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
        SklearnDigits(**kwargs)
