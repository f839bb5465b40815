# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math
import sys

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import METRICS

from pauc_mm.clustering import FaissKMeans
from pauc_mm.evaluation import (
    ClusterAgreement,
    adjusted_mutual_information,
    feature_label_information,
    group_label_information,
)
from pauc_mm.evaluation.functional import cluster_entropy
from tests.test_evaluation.test_metrics.helpers import (
    evaluate,
    make_samples,
    points_and_labels,
)

KEYS = {
    'ami',
    'information',
    'feature_information',
    'label_entropy',
    'entropy',
    'num_clusters',
}


def samples(points, labels=None, split=None):
    return make_samples(points, -points.flip(1), labels, split)


def evaluate_all(metric, *batches):
    got = evaluate(metric, *batches)
    assert set(got) == {f'clusters/{key}' for key in KEYS}
    return {name.partition('/')[2]: value for name, value in got.items()}


def test_is_registered():
    init_default_scope('mmpretrain')
    metric = METRICS.build(dict(type='ClusterAgreement', num_clusters=5))
    assert isinstance(metric, ClusterAgreement)
    assert metric.prefix == 'clusters'


def test_equals_the_functions():
    points, labels = points_and_labels(spread=1.5)
    batch = samples(points, labels)
    options = dict(k=4, max_samples=50, seed=2)
    metric = ClusterAgreement(num_clusters=7, **options)
    got = evaluate_all(metric, batch[:40], batch[40:])
    unit = torch.nn.functional.normalize(points, dim=1).numpy()
    clusters = FaissKMeans().fit(unit, 7, seed=2).assignments
    sizes = torch.bincount(torch.from_numpy(clusters))
    expected = dict(
        ami=adjusted_mutual_information(clusters, labels),
        information=group_label_information(clusters, labels),
        feature_information=feature_label_information(
            points, labels, **options
        ),
        label_entropy=math.log(3),
        entropy=cluster_entropy(sizes),
        num_clusters=7,
    )
    assert got == pytest.approx(expected, abs=1e-6)
    assert 0.05 < got['ami'] < 0.95


@pytest.mark.parametrize('field', ['embedding', 'feature'])
def test_separate_classes_agree(field):
    points, labels = points_and_labels()
    metric = ClusterAgreement(num_clusters=3, field=field)
    got = evaluate_all(metric, samples(points, labels))
    assert got['ami'] == pytest.approx(1)
    assert got['entropy'] == pytest.approx(1)
    assert got['information'] == pytest.approx(math.log(3))
    assert got['label_entropy'] == pytest.approx(math.log(3))
    assert got['feature_information'] == pytest.approx(math.log(3), abs=0.03)
    finer = evaluate_all(ClusterAgreement(), samples(points, labels))
    assert finer['num_clusters'] == 4


def test_total_collapse():
    _, labels = points_and_labels()
    points = torch.randn(6).expand(90, 6)
    for number in (None, 10):
        metric = ClusterAgreement(num_clusters=number)
        got = evaluate_all(metric, samples(points, labels))
        assert got['num_clusters'] == 1
        assert got['entropy'] == got['ami'] == 0
    assert got['information'] == pytest.approx(0, abs=1e-9)
    assert got['feature_information'] == pytest.approx(0, abs=0.05)


def test_bank_and_unlabelled_samples_do_not_count():
    points, labels = points_and_labels()
    query = samples(points, labels, 'query')
    bank = samples(torch.randn(30, 6), torch.zeros(30), 'bank')
    metric = ClusterAgreement(num_clusters=3)
    expected = evaluate_all(metric, query)
    assert evaluate_all(metric, bank, query) == expected
    labels[::2] = -1
    some = evaluate_all(metric, samples(points, labels))
    assert some['ami'] == pytest.approx(1)
    assert some['label_entropy'] == pytest.approx(math.log(3))
    # One cluster for 20 of the 90 samples: unlabelled ones are clustered.
    some = evaluate_all(ClusterAgreement(), samples(points, labels))
    assert some['num_clusters'] == 4


@pytest.mark.parametrize('field', ['embedding', 'feature'])
def test_vectors_of_length_zero_are_named(field):
    points, labels = points_and_labels()
    points[5] = 0
    with pytest.raises(ValueError, match=f'1 of 90 {field} have zero norm'):
        evaluate(ClusterAgreement(field=field), samples(points, labels))


def test_one_class_is_refused():
    points, _ = points_and_labels()
    with pytest.raises(ValueError, match='fewer than two classes'):
        evaluate_all(ClusterAgreement(), samples(points, torch.full((90,), 7)))


def test_missing_labels():
    points, _ = points_and_labels()
    with pytest.raises(ValueError, match='ClusterAgreement needs one gt_lab'):
        evaluate_all(ClusterAgreement(), samples(points))


def test_more_clusters_than_samples():
    metric = ClusterAgreement(num_clusters=40)
    with pytest.raises(ValueError, match='ClusterAgreement.num_clusters=40'):
        metric.check_sizes(bank=100, query=39)
    with pytest.raises(ValueError, match='ClusterAgreement.num_clusters=40'):
        evaluate(metric, samples(*points_and_labels(39)))
    metric.check_sizes(bank=0, query=40)
    with pytest.raises(ValueError, match='needs 2 samples or more, got 1'):
        ClusterAgreement().check_sizes(bank=0, query=1)


@pytest.mark.parametrize(
    'options, found',
    [
        (dict(num_clusters=1), 'ClusterAgreement.num_clusters.*2.*1'),
        (dict(num_clusters=0), 'ClusterAgreement.num_clusters.*2.*0'),
        (dict(k=0), 'ClusterAgreement.k .*0'),
        (dict(max_samples=3), 'ClusterAgreement.max_samples.*3'),
        (dict(field='logits'), "ClusterAgreement.*'logits'"),
    ],
)
def test_bad_arguments(options, found):
    with pytest.raises(ValueError, match=found):
        ClusterAgreement(**options)


@pytest.mark.parametrize(
    'module, package',
    [('faiss', 'faiss-cpu'), ('sklearn.metrics', 'scikit-learn')],
)
def test_missing_packages(monkeypatch, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f'ClusterAgr.*install {package}'):
        ClusterAgreement()


def test_defaults_are_those_of_the_documentation():
    metric = ClusterAgreement()
    assert metric.estimate == dict(k=3, max_samples=10000, seed=0)
    assert metric.field == 'embedding' and metric.num_clusters is None
    ClusterAgreement(num_clusters=2, k=1, max_samples=4)  # the least


def test_a_bank_without_labels_is_left_out():
    points, labels = points_and_labels()
    query = samples(points, labels, 'query')
    metric = ClusterAgreement(num_clusters=3)
    expected = evaluate_all(metric, query)
    assert evaluate_all(metric, samples(points, split='bank'), query) == (
        expected
    )
