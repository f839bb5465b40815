# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import hashlib

import numpy as np
import pytest

from pauc_mm.datasets import MlxtendMNIST, SklearnDigits
from pauc_mm.datasets.long_tail import (
    class_ranking,
    head_middle_tail,
    long_tail_counts,
    long_tail_rows,
)

# Images of each class of CIFAR-10-LT, and of all classes of CIFAR-100-LT, as
# papers on long-tailed learning list them.
CIFAR10 = {
    10: [5000, 3871, 2997, 2320, 1796, 1391, 1077, 834, 645, 500],
    50: [5000, 3237, 2096, 1357, 878, 568, 368, 238, 154, 100],
    100: [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50],
}
CIFAR100 = {10: 19573, 50: 12608, 100: 10847}


@pytest.mark.parametrize('rho', [10, 50, 100])
def test_counts_are_those_of_long_tailed_cifar(rho):
    assert long_tail_counts(5000, 10, rho) == CIFAR10[rho]
    hundred = long_tail_counts(500, 100, rho)
    assert sum(hundred) == CIFAR100[rho]
    assert hundred[0] == 500 and hundred[-1] == 500 // rho


def test_counts_by_hand():
    assert long_tail_counts(8, 3, 4) == [8, 4, 2]
    assert long_tail_counts(9, 3, 4) == [9, 4, 2]  # 4.5 and 2.25, down
    assert long_tail_counts(7, 4, 1) == [7] * 4
    assert long_tail_counts(6, 2, 6.0) == [6, 1]


@pytest.mark.parametrize('rho', range(1, 120))
def test_no_rounding_error_takes_an_image(rho):
    """Powers come out as 2.9999999: the last is largest / rho, exactly."""
    counts = long_tail_counts(12 * rho, 3, rho**1.0)
    assert counts[-1] == 12
    squares = long_tail_counts(5 * rho * rho, 3, rho * rho)
    assert squares == [5 * rho * rho, 5 * rho, 5]


@pytest.mark.parametrize(
    'arguments, found',
    [
        ((100, 10, 0.5), 'imbalance=0.5'),
        ((100, 10, 0), 'imbalance=0 '),
        ((100, 10, '9'), "imbalance='9' "),
        ((100, 10, -3), 'imbalance=-3 '),
        ((100, 10, float('nan')), 'imbalance=nan'),
        ((100, 10, float('inf')), 'imbalance=inf'),
        ((100, 1, 2), 'imbalance needs .*got 1'),
        ((13, 10, 14), 'imbalance=14 .*without an image.*at most 13'),
        ((0, 10, 1), 'without an image'),
    ],
)
def test_impossible_counts(arguments, found):
    with pytest.raises(ValueError, match=found):
        long_tail_counts(*arguments)


def test_ranking():
    assert class_ranking([3, 1, 2]) == [1, 2, 3]
    seeds = [class_ranking(range(10), seed) for seed in range(3)]
    assert all(sorted(ranking) == list(range(10)) for ranking in seeds)
    # Constants of the package: figures depend on them.
    assert seeds[0] == [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]
    assert [sorted(ranking[-3:]) for ranking in seeds] == [
        [0, 3, 5],
        [5, 7, 8],
        [6, 8, 9],
    ]
    # Labels need not start at 0, nor come sorted.
    assert class_ranking([70, 10, 40], 1) == [
        [10, 40, 70][i] for i in class_ranking(range(3), 1)
    ]
    for seed in (-1, 2**32, 1.5):
        with pytest.raises(ValueError, match=f'imbalance_seed={seed} '):
            class_ranking(range(10), seed)


LABELS = np.random.RandomState(0).permutation(np.repeat([2, 5, 7], [9, 8, 40]))


def test_rows():
    rows = long_tail_rows(LABELS, 4)
    # The smallest class has 8: 8, 4, 2.
    assert np.bincount(LABELS[rows]).tolist() == [0, 0, 8, 0, 0, 4, 0, 2]
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, long_tail_rows(LABELS, 4))
    ranking = class_ranking([2, 5, 7], 0)
    assert ranking == [7, 5, 2]
    seeded = np.bincount(LABELS[long_tail_rows(LABELS, 4, 0)])
    assert seeded[ranking].tolist() == [8, 4, 2]


def test_stronger_imbalance_keeps_a_part_and_seeds_draw_others():
    weak, strong = (set(long_tail_rows(LABELS, rho)) for rho in (2, 8))
    assert strong < weak
    one = np.zeros(60, int)
    one[30:] = 1
    seeds = [
        {i for i in long_tail_rows(one, 3, seed) if i >= 30}
        for seed in (None, 0, 1, 2)
    ]
    assert len({tuple(sorted(rows)) for rows in seeds}) >= 3


def test_global_generator_stays():
    np.random.seed(3)
    expected = np.random.rand()
    np.random.seed(3)
    long_tail_rows(LABELS, 4, 1)
    assert np.random.rand() == expected


def test_head_middle_tail():
    assert head_middle_tail([5, 30, 20]) == dict(
        head=[1], middle=[2], tail=[0]
    )
    # Ties by label; ten classes as 4, 3, 3; a class without images is rare.
    assert head_middle_tail([1, 9, 9, 2, 2, 7, 0, 5, 4, 3]) == dict(
        head=[1, 2, 5, 7], middle=[8, 9, 3], tail=[4, 0, 6]
    )
    hundred = head_middle_tail(long_tail_counts(500, 100, 100))
    assert [len(part) for part in hundred.values()] == [34, 33, 33]
    assert hundred['head'] == list(range(34))
    assert hundred['tail'] == list(range(67, 100))
    with pytest.raises(ValueError, match='3 classes or more, got 2'):
        head_middle_tail([4, 2])
    with pytest.raises(ValueError, match='All 4 classes have 6 .*no tail'):
        head_middle_tail([6, 6, 6, 6])


# ---- the data sets ---------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize(
    'dataset, imbalance, counts',
    [
        (SklearnDigits, 10, [138, 106, 82, 64, 49, 38, 29, 23, 17, 13]),
        (MlxtendMNIST, 50, [400, 258, 167, 108, 70, 45, 29, 19, 12, 8]),
    ],
)
def test_train_split(dataset, imbalance, counts):
    options = dict(imbalance=imbalance, imbalance_seed=0)
    data = dataset(**options)
    found = np.bincount(data.get_gt_labels())
    assert found[class_ranking(range(10), 0)].tolist() == counts
    by_label = dataset(imbalance=imbalance)
    assert np.bincount(by_label.get_gt_labels()).tolist() == counts
    # Images of the train split, each once, in its order.
    whole, chosen = images_of(dataset()), images_of(data)
    assert len(set(whole)) == len(whole)
    places = [whole.index(image) for image in chosen]
    assert places == sorted(set(places))
    # The test split is whole, with and without, and apart.
    test = images_of(dataset(split='test', **options))
    assert test == images_of(dataset(split='test'))
    assert not set(test) & set(chosen)


def images_of(data):
    samples = [data.get_data_info(i) for i in range(len(data))]
    return [
        hashlib.sha256(s['img'].tobytes()).hexdigest() + str(s['gt_label'])
        for s in samples
    ]


@pytest.mark.parametrize(
    'options, found',
    [
        (dict(imbalance=0.01), 'imbalance=0.01 '),
        (dict(imbalance=139), 'without an image.*at most 138'),
        (dict(imbalance=139, split='test'), 'at most 138'),
        (dict(imbalance=10, fraction=0.1), 'imbalance=10 and fraction=0.1'),
        (dict(imbalance=10, split='all'), "imbalance=10 .*split='all'"),
        (dict(imbalance_seed=1), 'imbalance_seed=1 .*without imbalance'),
        (dict(imbalance=10, imbalance_seed=-1), 'imbalance_seed=-1'),
    ],
)
def test_bad_options(options, found):
    with pytest.raises(ValueError, match=found):
        SklearnDigits(**options)
