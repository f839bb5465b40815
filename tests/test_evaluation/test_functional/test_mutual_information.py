# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch
from scipy.special import digamma
from scipy.stats import entropy
from sklearn.feature_selection import mutual_info_classif

from pauc_mm.evaluation import (
    adjusted_mutual_information,
    feature_label_information,
    group_label_information,
)


def blobs(num=240, num_classes=3, dim=5, spread=0.6, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(num) % num_classes
    centers = np.eye(dim)[:num_classes]
    return centers[labels] + spread * rng.standard_normal((num, dim)), labels


def on_circle(angles):
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def ross(points, labels, k):
    """The estimator of Ross (2014), one sample at a time."""
    points = [np.array(p) / math.hypot(*p) for p in points.tolist()]
    labels = labels.tolist()
    used = [i for i, y in enumerate(labels) if labels.count(y) > 1]
    terms = []
    for i in used:
        far = {j: math.dist(points[i], points[j]) for j in used if j != i}
        own = sorted(far[j] for j in far if labels[j] == labels[i])
        near = min(k, len(own))
        m = sum(d <= own[near - 1] for d in far.values())
        terms.append(digamma(near) - digamma(len(own) + 1) - digamma(m))
    return digamma(len(used)) + sum(terms) / len(used)


@pytest.mark.parametrize('k', [1, 3, 10])
@pytest.mark.parametrize('spread', [0.3, 0.6, 3.0])
def test_equals_loop_over_samples(k, spread):
    points, labels = blobs(spread=spread)
    expected = ross(points, labels, k)
    for chunk in (512, 7):
        got = feature_label_information(points, labels, k, chunk=chunk)
        assert got == pytest.approx(expected, abs=1e-12)


def test_small_classes_use_the_neighbours_they_have():
    points, labels = blobs(60)
    labels[:9] = [10, 11, 11, 12, 12, 12, 13, 14, 14]
    expected = ross(points, labels, 3)
    got = feature_label_information(points, labels)
    assert got == pytest.approx(expected, abs=1e-12)
    # The two classes of one sample do not count at all.
    without = ~np.isin(labels, [10, 13])
    assert got == pytest.approx(
        feature_label_information(points[without], labels[without]), abs=1e-12
    )


@pytest.mark.parametrize('k', [3, 5])
def test_equals_scikit_learn_in_one_dimension(k):
    # On half a circle the chord grows with the difference of the angles, and
    # the estimate depends on the order of the distances only.
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 400)
    angles = labels * 0.5 + rng.uniform(0, 1.2, 400)
    labels[0] = 9  # alone
    (expected,) = mutual_info_classif(
        angles[:, None],
        labels,
        discrete_features=False,
        n_neighbors=k,
        random_state=0,
    )
    assert 0.2 < expected < math.log(4)
    got = feature_label_information(on_circle(angles), labels, k)
    assert got == pytest.approx(expected, abs=1e-9)


def test_overlapping_arcs_have_a_closed_form():
    # Half of each class lies where only it does: (1/2) log 2.
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 4000)
    angles = labels + rng.uniform(0, 2, 4000)
    got = feature_label_information(on_circle(angles), labels)
    assert got == pytest.approx(0.5 * math.log(2), abs=0.03)


def test_separate_classes_saturate_at_the_entropy_of_the_labels():
    sizes = [100, 300, 600]
    labels = np.repeat([5, 0, 7], sizes)
    points = np.eye(3)[np.repeat([0, 1, 2], sizes)]
    points += 0.01 * np.random.default_rng(0).standard_normal(points.shape)
    got = feature_label_information(points, labels)
    ceiling = digamma(1000) - np.average(digamma(sizes), weights=sizes)
    assert got == pytest.approx(ceiling, abs=1e-12)
    assert got == pytest.approx(entropy(sizes), abs=0.002)


def test_independent_labels_have_none():
    rng = np.random.default_rng(0)
    points = rng.standard_normal((2000, 3))
    got = feature_label_information(points, rng.integers(0, 5, 2000))
    assert got == pytest.approx(0, abs=0.05)


def test_a_collapse_to_a_point_has_none_and_one_by_class_has_all():
    labels = np.arange(300) % 3
    point = np.full((300, 4), 1 / 3)
    # 99 equal neighbours in the class, 299 in all.
    expected = digamma(300) - digamma(100) + digamma(99) - digamma(299)
    noise = np.random.default_rng(0).standard_normal(point.shape)
    for far in (0, 1e-8):  # apart by the rounding of cosines
        got = feature_label_information(point + far * noise, labels)
        assert got == pytest.approx(expected, abs=1e-12)
    assert got == pytest.approx(0, abs=0.01)
    by_class = feature_label_information(np.eye(3)[labels], labels)
    assert by_class == pytest.approx(math.log(3), abs=0.01)


def test_length_order_and_unlabelled_samples_do_not_count():
    points, labels = blobs()
    expected = feature_label_information(points, labels)
    order = np.random.default_rng(1).permutation(len(points))
    got = feature_label_information(3 * points[order], labels[order] * 7)
    assert got == pytest.approx(expected, abs=1e-12)
    more = np.concatenate([points, -points])
    unlabelled = np.concatenate([labels, np.full(len(points), -1)])
    got = feature_label_information(more, torch.from_numpy(unlabelled))
    assert got == pytest.approx(expected, abs=1e-12)


def test_subsample():
    points, labels = blobs(600, spread=0.3)
    options = dict(max_samples=200, seed=3)
    some = feature_label_information(points, labels, **options)
    assert some == feature_label_information(points, labels, **options)
    whole = feature_label_information(points, labels)
    assert some != whole and some == pytest.approx(whole, abs=0.2)


def table(groups, labels):
    """Mutual information from the joint distribution, cell by cell."""
    groups, labels = np.asarray(groups), np.asarray(labels)
    total = 0.0
    for g in np.unique(groups):
        for y in np.unique(labels):
            both = np.mean((groups == g) & (labels == y))
            if both:
                apart = np.mean(groups == g) * np.mean(labels == y)
                total += both * math.log(both / apart)
    return total


def chance(groups, labels):
    """Expectation over permutations, by drawing them."""
    rng = np.random.default_rng(0)
    draws = [table(rng.permutation(groups), labels) for _ in range(400)]
    return np.mean(draws)


def test_groups_equal_their_definitions():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    noise = rng.integers(0, 9, 200)
    groups = np.where(rng.random(200) < 0.5, labels * 2, noise)
    information = table(groups, labels)
    got = group_label_information(groups, torch.from_numpy(labels))
    assert got == pytest.approx(information, abs=1e-12)
    mean = (table(groups, groups) + table(labels, labels)) / 2
    by_chance = chance(groups, labels)
    adjusted = (information - by_chance) / (mean - by_chance)
    got = adjusted_mutual_information(groups, labels)
    assert 0.2 < got < 0.8 and got == pytest.approx(adjusted, abs=0.005)


def test_groups_in_the_limits():
    labels = np.arange(120) % 3
    renamed = (labels + 1) * 5
    assert adjusted_mutual_information(renamed, labels) == pytest.approx(1)
    assert group_label_information(renamed, labels) == pytest.approx(
        math.log(3), abs=1e-12
    )
    one = np.zeros(120, dtype=int)
    assert adjusted_mutual_information(one, labels) == 0
    assert group_label_information(one, labels) == pytest.approx(0, abs=1e-12)
    # Groups of one sample know everything, which is no agreement.
    alone = np.arange(120)
    assert group_label_information(alone, labels) == pytest.approx(
        math.log(3), abs=1e-12
    )
    assert adjusted_mutual_information(alone, labels) < 0.01


@pytest.mark.parametrize(
    'measure', [adjusted_mutual_information, group_label_information]
)
def test_negative_numbers_are_ignored(measure):
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 3, 90), rng.integers(0, 3, 90)
    expected = measure(groups[:60], labels[:60])
    groups[60:75] = -1
    labels[75:] = -2
    assert measure(groups, labels) == expected


@pytest.mark.parametrize(
    'measure', [adjusted_mutual_information, group_label_information]
)
@pytest.mark.parametrize(
    'groups, labels, error, found',
    [
        ([0, 1], [3, 3], ValueError, 'fewer than two classes'),
        ([-1, 0], [0, 1], ValueError, '1 of 2 samples'),
        ([0, 1, 1], [0, 1], ValueError, r'groups.*\(2,\).*\(3,\)'),
        ([0, 1], [[0], [1]], ValueError, r'labels.*shape \(2,\)'),
        ([0, 1], [0.0, 1.0], TypeError, 'labels must be integers'),
        ([0.0, 1.0], [0, 1], TypeError, 'groups must be integers'),
    ],
)
def test_bad_groups(measure, groups, labels, error, found):
    with pytest.raises(error, match=found):
        measure(torch.tensor(groups), torch.tensor(labels))


def test_bad_arguments():
    points, labels = blobs(6)
    with pytest.raises(ValueError, match='k must be at least 1, got 0'):
        feature_label_information(points, labels, k=0)
    with pytest.raises(ValueError, match='^1 of 1 classes'):
        feature_label_information(points, np.zeros(6, dtype=int))
    with pytest.raises(ValueError, match='^0 of 6 classes.*max_samples'):
        feature_label_information(points, np.arange(6))
    with pytest.raises(ValueError, match='^0 of 0 classes'):
        feature_label_information(points, np.full(6, -1))
    with pytest.raises(ValueError, match=r'labels.*\(6,\).*\(5,\)'):
        feature_label_information(points, labels[:5])
    with pytest.raises(TypeError, match='labels must be integers'):
        feature_label_information(points, labels / 2)
    points[2, 0] = math.nan
    with pytest.raises(ValueError, match='1 of 6 .*not finite'):
        feature_label_information(points, labels)
