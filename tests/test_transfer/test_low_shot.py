# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import joblib
import numpy as np
import pytest
import torch

from pauc_mm.transfer import LowShotOptions
from pauc_mm.transfer import low_shot_svm as measure
from pauc_mm.transfer.linear_svm import (
    COSTS,
    cross_validate,
    fit_svms,
    fold_numbers,
)
from pauc_mm.transfer.low_shot import _reduce, evaluate
from pauc_mm.transfer.low_shot_draw import (
    as_targets,
    draw_images,
    needed_rows,
)
from tests.test_transfer.helpers import clusters, digits

FEW_COSTS = (0.01, 1.0, 100.0)


def low_shot_svm(*sets, rows=None, **options):
    return measure(*sets, LowShotOptions(**options), rows)


def unit(features):
    features = features.double()
    return (features / features.norm(dim=1, keepdim=True)).numpy()


def multi_label(seed=0, images=60):
    """Features, and labels 1, -1, 0 of three classes that go together."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(images, 8))
    plane = np.random.default_rng(5).normal(size=(8, 3))
    labels = np.sign(features @ plane + rng.normal(size=(images, 3)))
    labels[rng.random((images, 3)) < 0.1] = 0
    return torch.from_numpy(features), torch.from_numpy(labels).long()


def objective(svm, features, y, cost):
    """Objective in LinearSVC's documentation, the bias penalised too."""
    weights, bias = svm
    slack = np.maximum(0, 1 - y * (features @ weights + bias)) ** 2
    weighted = np.where(y == 1, 2, 1) * slack
    return (weights @ weights + bias**2) / 2 + cost * weighted.sum()


def test_each_svm_minimises_its_objective():
    from scipy.optimize import minimize

    features, labels = multi_label(images=30)
    x, targets = unit(features), as_targets(labels, 3)
    costs = [0.1, 1.0, 10.0]
    svms = fit_svms(x, targets, costs)
    for c, cost in enumerate(costs):
        known = targets[:, c] != 0
        args = x[known], targets[known, c].astype(float), cost
        best = minimize(
            lambda v, args=args: objective((v[:-1], v[-1]), *args),
            np.zeros(9),
            tol=1e-12,
        )
        own = objective((svms.weights[c], svms.biases[c]), *args)
        assert own == pytest.approx(best.fun, rel=1e-4)
    assert svms.unconverged == 0


def test_images_that_are_left_out_of_a_class_do_not_count():
    features, labels = multi_label()
    x, targets = unit(features), as_targets(labels, 3)
    known = targets[:, 1] != 0
    assert 0 < (~known).sum() < 20
    alone = fit_svms(x[known], targets[known][:, [1]], [1.0])
    together = fit_svms(x, targets, [1.0] * 3)
    np.testing.assert_array_equal(together.weights[1], alone.weights[0])


def test_turning_features_changes_nothing():
    rng = np.random.default_rng(0)
    x, test = rng.normal(size=(12, 40)), rng.normal(size=(5, 40))
    targets = as_targets(torch.arange(12) % 3, 3)
    reduced, basis = _reduce(x)
    assert reduced.shape == (12, 12)
    direct = fit_svms(x, targets, [0.01] * 3).scores(test)
    turned = fit_svms(reduced, targets, [0.01] * 3).scores(test @ basis)
    np.testing.assert_allclose(turned, direct, atol=2e-3)
    assert np.abs(direct).max() > 0.3
    assert _reduce(x.T)[1] is None  # more images than features


def test_cross_validation_scores_images_that_were_not_trained_on():
    features, labels = multi_label()
    x, targets = unit(features), as_targets(labels, 3)
    scores, fold, _ = cross_validate(x, targets, [0.1, 1.0], folds=3)
    assert np.array_equal(np.isnan(scores[0]), targets == 0)
    for c in range(3):
        for number in range(3):
            held = fold[:, c] == number
            train = (targets[:, c] != 0) & ~held
            svm = fit_svms(x[train], targets[train][:, [c]], [1.0])
            np.testing.assert_allclose(
                scores[1, held, c], svm.scores(x[held])[:, 0], rtol=1e-9
            )


def test_folds_share_the_positives_of_each_class():
    _, labels = multi_label()
    targets = as_targets(labels, 3)
    fold = fold_numbers(targets, 3, seed=0)
    assert np.array_equal(fold == -1, targets == 0)
    for c in range(3):
        counts = np.bincount(fold[targets[:, c] == 1, c], minlength=3)
        assert counts.max() - counts.min() <= 1
    single = fold_numbers(as_targets(torch.arange(30) % 5, 5), 3, seed=0)
    assert (single == single[:, :1]).all()  # one image, one fold


@pytest.mark.slow
def test_two_processes_find_the_same():
    features, labels = clusters(noise=2.0)
    options = dict(shots=[2, 'full'], costs=FEW_COSTS, draws=2)
    sets = (features, labels, features, labels, list('abc'))
    # forked, as new ones would import everything
    with joblib.parallel_config(backend='multiprocessing'):
        two = low_shot_svm(*sets, **options, jobs=2)
    assert low_shot_svm(*sets, **options) == two


def test_draws_have_k_images_of_each_class():
    labels = torch.arange(40) % 4
    targets = as_targets(labels, 4)
    small, large = (draw_images(targets, k, seed=3) for k in (2, 5))
    assert np.bincount(labels[large]).tolist() == [5] * 4
    assert set(small) < set(large)
    assert set(large) != set(draw_images(targets, 5, seed=4))
    assert len(draw_images(targets, 'full', seed=3)) == 40
    rows = needed_rows(targets, [1, 5], 3, 0)
    assert len(rows) < 40
    assert needed_rows(targets, [1, 'full'], 5, 0).tolist() == list(range(40))


def test_draws_of_images_with_several_classes():
    _, labels = multi_label()
    targets = as_targets(labels, 3)
    drawn = draw_images(targets, 4, seed=0)
    assert len(drawn) <= 12 and len(set(drawn)) == len(drawn)
    assert ((targets[drawn] == 1).sum(0) >= 4).all()


def test_digits_are_classified_from_few_images():
    features, labels, test_features, test_labels = digits()
    result = low_shot_svm(
        features,
        labels,
        test_features,
        test_labels,
        [str(c) for c in range(10)],
        shots=[1, 8],
        costs=FEW_COSTS,
        draws=3,
    )
    assert result['metric'] == 'accuracy'
    one, eight = result['rows']
    assert one['images'] == [10] * 3 and eight['images'] == [80] * 3
    # nearest class mean has about the same with as few
    assert 0.4 < one['mean'] < 0.8 < eight['mean'] < 0.97
    assert one['costs'] == [0.5] * 3  # nothing to choose by
    assert set(eight['costs']) <= set(FEW_COSTS)
    for row in (one, eight):
        values = row['values']
        assert len(set(values)) == 3
        mean = sum(values) / 3
        squares = sum((value - mean) ** 2 for value in values)
        assert row['mean'] == pytest.approx(mean)
        assert row['std'] == pytest.approx((squares / 2) ** 0.5)


def test_the_cost_is_the_best_in_cross_validation():
    features, labels = multi_label(images=90)
    test_features, test_labels = multi_label(seed=1)
    sets = features, labels, test_features, test_labels, list('abc')
    result = low_shot_svm(*sets, shots=['full'], costs=FEW_COSTS)
    (row,) = result['rows']
    assert result['metric'] == 'mAP' and row['std'] is None
    x, targets = unit(features), as_targets(labels, 3)
    scores, fold, _ = cross_validate(x, targets, FEW_COSTS, folds=3)
    expected = []
    for c in range(3):
        aps = [
            [
                evaluate(
                    s[fold[:, c] == n][:, [c]],
                    targets[fold[:, c] == n][:, [c]],
                    False,
                    'area',
                )[0]
                for n in range(3)
            ]
            for s in scores
        ]
        expected.append(FEW_COSTS[int(np.argmax(np.mean(aps, axis=1)))])
    found = row['costs'][0]
    assert (found if isinstance(found, list) else [found] * 3) == expected
    # one cost is taken as it is
    one = dict(shots=['full'], costs=[1.0])
    (single,) = low_shot_svm(*sets, **one)['rows']
    svms = fit_svms(x, targets, [1.0] * 3)
    value = evaluate(
        svms.scores(unit(test_features)),
        as_targets(test_labels, 3),
        False,
        'area',
    ).mean()
    assert single['mean'] == pytest.approx(value, abs=1e-9)
    assert single['costs'] == [1.0]
    (points,) = low_shot_svm(*sets, **one, ap='11-point')['rows']
    assert points['mean'] != single['mean']


def test_only_the_features_that_are_drawn_are_needed():
    features, labels = clusters(noise=2.0, members=50)
    sets = (features[::2], labels[::2], list('abc'))
    options = dict(shots=[1, 3], costs=FEW_COSTS, draws=2, seed=5)
    rows = needed_rows(as_targets(labels, 3), [1, 3], 2, 5)
    assert len(rows) < 50
    part = low_shot_svm(features[rows], labels, *sets, rows=rows, **options)
    assert part == low_shot_svm(features, labels, *sets, **options)
    with pytest.raises(ValueError, match='got 150'):
        low_shot_svm(features, labels, *sets, rows=rows, **options)


def test_the_grid_that_was_published():
    # parse_cost_list and its callers in Goyal et al.'s code
    assert len(COSTS) == 26 and list(COSTS) == sorted(COSTS)
    assert (COSTS[0], COSTS[-1]) == (1e-7, 100.0)
    assert {0.5**4, 0.5**19, 1e-3} < set(COSTS)


def test_a_class_with_too_few_images_is_named():
    features, labels = clusters(members=6)
    few = labels.clone()
    few[2:6] = 1
    sets = (features, few, features, labels, ['ant', 'bee', 'cat'])
    with pytest.raises(ValueError, match=r'shots: k = 4 .* ant \(2\)'):
        low_shot_svm(*sets, shots=[1, 4])
    low_shot_svm(*sets, shots=[1, 2], costs=[1.0], draws=1)


def test_a_draw_in_which_all_images_have_a_class():
    features, _ = clusters()
    labels = torch.where(torch.arange(60)[:, None] % 20 == 0, -1, 1)
    labels = labels.repeat(1, 2)
    labels[30:, 1] *= -1
    sets = (features, labels, features, labels, ['ant', 'bee'])
    with pytest.raises(ValueError, match='Draw 1 of k = 1 .* negative .* ant'):
        low_shot_svm(*sets, shots=[1], costs=[1.0])
    low_shot_svm(*sets, shots=['full'], costs=[1.0])


@pytest.mark.parametrize(
    'key, value',
    [
        ('shots', [0]),
        ('shots', [2, 2]),
        ('shots', ['all']),
        ('shots', []),
        ('costs', [1.0, 0.1]),
        ('costs', [0.0, 1.0]),
        ('draws', 0),
        ('jobs', 0),
        ('ap', 'voc'),
    ],
)
def test_wrong_options(key, value):
    with pytest.raises(ValueError, match=f'{key} must'):
        LowShotOptions(**{key: value})


@pytest.mark.parametrize(
    'index, value, message',
    [
        (1, torch.arange(60) % 4, 'labels .* got 0 to 3'),
        (3, torch.zeros(60).long(), 'no positive image of b'),
        (1, torch.zeros(60, 2).long(), 'labels .* got shape .60, 2.'),
        (0, torch.zeros(60, 5), '60 training features'),
        (2, torch.full((60, 5), torch.inf), '60 of 60 test features'),
    ],
)
def test_wrong_input(index, value, message):
    features, labels = clusters()
    sets = [features, labels, features, labels, list('abc')]
    sets[index] = value
    with pytest.raises(ValueError, match=message):
        low_shot_svm(*sets, shots=[2], costs=[1.0])
