# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import sys

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from mmpretrain.registry import METRICS

from pauc_mm.clustering import FaissKMeans
from pauc_mm.evaluation import NEMD
from pauc_mm.evaluation.functional import (
    cluster_entropy,
    effective_rank,
    intra_group_variance,
    nemd,
    uniformity,
)
from tests.test_evaluation.test_metrics.helpers import (
    evaluate,
    make_samples,
    points_and_labels,
)

KEYS = {
    'value',
    'standard_error',
    'uniformity',
    'intra_variance',
    'effective_rank',
    'unique_share',
    'group_entropy',
    'num_groups',
    'num_pairs',
    'mean_members',
}


def samples(points, labels=None, split=None):
    unit = F.normalize(points, dim=1)
    return make_samples(unit, points.flip(1), labels, split)


def test_is_registered():
    init_default_scope('mmpretrain')
    metric = METRICS.build(
        dict(type='NEMD', groups='clusters', num_clusters=5)
    )
    assert isinstance(metric, NEMD)
    assert metric.prefix == 'nemd'


def test_labels():
    points, labels = points_and_labels()
    data_samples = samples(points, labels)
    options = dict(num_pairs=2, num_members=10, seed=3)
    got = evaluate(NEMD(**options), data_samples[:40], data_samples[40:])
    assert set(got) == {f'nemd/{key}' for key in KEYS}
    unit = F.normalize(points, dim=1)
    expected = nemd(unit, labels, **options)
    assert got['nemd/value'] == pytest.approx(expected.value, abs=1e-12)
    assert got['nemd/standard_error'] == pytest.approx(expected.standard_error)
    assert got['nemd/num_pairs'] == 2 and got['nemd/num_groups'] == 3
    assert got['nemd/mean_members'] == 10
    assert got['nemd/uniformity'] == pytest.approx(uniformity(unit))
    assert got['nemd/effective_rank'] == pytest.approx(effective_rank(unit))
    assert got['nemd/intra_variance'] == pytest.approx(
        intra_group_variance(unit, labels)
    )
    assert got['nemd/unique_share'] == 1
    assert got['nemd/group_entropy'] == pytest.approx(1)


def test_clusters_find_separate_classes():
    points, labels = points_and_labels()
    by_labels = evaluate(NEMD(), samples(points, labels))
    by_clusters = evaluate(
        NEMD(groups='clusters', num_clusters=3), samples(points)
    )
    assert by_clusters['nemd/num_groups'] == 3
    assert by_clusters['nemd/value'] == pytest.approx(
        by_labels['nemd/value'], abs=1e-12
    )


def test_feature_field():
    points, labels = points_and_labels()
    got = evaluate(NEMD(field='feature'), samples(points, labels))
    expected = nemd(points, labels).value  # reversing a vector is a rotation
    assert got['nemd/value'] == pytest.approx(expected, abs=1e-6)


def test_bank_does_not_count():
    points, labels = points_and_labels()
    query = samples(points, labels, 'query')
    bank = samples(torch.randn(30, 6), split='bank')  # without labels
    assert evaluate(NEMD(), bank, query) == evaluate(NEMD(), query)


def test_collapse_of_the_prototypes_is_seen():
    points, labels = points_and_labels(spread=0.0)
    points[labels == 2] = points[labels == 1]
    got = evaluate(NEMD(), samples(points, labels))
    assert got['nemd/unique_share'] == pytest.approx(2 / 3)
    assert got['nemd/intra_variance'] == pytest.approx(0, abs=1e-12)
    assert got['nemd/value'] == pytest.approx(2 * 2**0.5 / 3, abs=1e-6)


def test_groups_that_cancel_out_and_samples_without_group():
    points = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, 1], [1, 1]])
    got = evaluate(NEMD(), samples(points, [0, 0, 1, 1, -1]))
    assert got['nemd/num_groups'] == 2
    assert got['nemd/unique_share'] == 1
    assert got['nemd/value'] == pytest.approx(2**0.5, abs=1e-6)
    assert got['nemd/intra_variance'] == pytest.approx(0.5)
    assert got['nemd/group_entropy'] == pytest.approx(1)


@pytest.mark.parametrize(
    'options, num_groups',
    [
        (dict(), 3),
        (dict(groups='clusters', num_clusters=3), 1),
        (dict(groups='clusters'), 1),
    ],
)
def test_total_collapse_is_zero_and_says_so(options, num_groups):
    points = torch.randn(6).expand(30, 6)
    got = evaluate(NEMD(**options), samples(points, torch.arange(30) % 3))
    assert all(value == value for value in got.values())
    assert got['nemd/value'] == pytest.approx(0, abs=1e-12)
    assert got['nemd/uniformity'] == pytest.approx(0, abs=1e-12)
    assert got['nemd/effective_rank'] == 0
    assert got['nemd/num_groups'] == num_groups


@pytest.mark.parametrize('num, expected', [(30, 2), (90, 4), (2100, 100)])
def test_the_number_of_clusters_follows_the_samples(num, expected):
    points = torch.randn(num, 6, generator=torch.Generator().manual_seed(0))
    got = evaluate(NEMD(groups='clusters', num_pairs=10), samples(points))
    assert got['nemd/num_groups'] == expected


@pytest.mark.parametrize('label', [0, 7])
@pytest.mark.parametrize('collapsed', [False, True])
def test_one_class_is_refused(label, collapsed):
    points, _ = points_and_labels()
    if collapsed:
        points = points[:1].expand(90, -1)
    with pytest.raises(ValueError, match='only 1'):
        evaluate(NEMD(), samples(points, torch.full((90,), label)))


def test_missing_labels():
    points, _ = points_and_labels()
    with pytest.raises(ValueError, match='NEMD needs one gt_label'):
        evaluate(NEMD(), samples(points))


def test_more_clusters_than_samples():
    metric = NEMD(groups='clusters', num_clusters=40)
    with pytest.raises(ValueError, match='num_clusters=40.*the 30 samples'):
        evaluate(metric, samples(torch.randn(30, 4)))
    with pytest.raises(ValueError, match='num_clusters=40.*the 39 samples'):
        metric.check_sizes(bank=100, query=39)
    metric.check_sizes(bank=0, query=40)
    with pytest.raises(ValueError, match='NEMD needs 2 samples .* got 1'):
        NEMD().check_sizes(bank=9, query=1)


@pytest.mark.parametrize(
    'options, found',
    [
        (dict(groups='prototypes'), "NEMD.groups.*'prototypes'"),
        (dict(groups='clusters', num_clusters=-3), 'NEMD.num_clusters.*-3'),
        (dict(groups='clusters', num_clusters=1), 'NEMD.num_clusters.*1'),
        (dict(num_clusters=5), 'NEMD.num_clusters=5.*labels'),
        (dict(max_samples=1), 'NEMD.max_samples.*1'),
        (dict(field='logits'), "'logits'"),
        (dict(num_pairs=1), 'num_pairs.*1'),
        (dict(num_members=0), 'num_members.*0'),
        (dict(solver='simplex'), "solver.*'simplex'"),
    ],
)
def test_bad_arguments(options, found):
    with pytest.raises(ValueError, match=found):
        NEMD(**options)


@pytest.mark.parametrize(
    'module, groups, package',
    [
        ('ot', 'labels', 'POT'),
        ('ot', 'clusters', 'POT'),
        ('faiss', 'clusters', 'faiss-cpu'),
    ],
)
def test_missing_packages(monkeypatch, module, groups, package):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f'NEMD.*pip install {package}'):
        NEMD(groups=groups)


def test_every_option_reaches_its_measure(monkeypatch):
    points, labels = points_and_labels(spread=1.5)
    unit, draw = F.normalize(points, dim=1), dict(max_samples=20, seed=3)
    got = evaluate(NEMD(**draw, num_members=8), samples(points, labels))
    for measure in (uniformity, effective_rank):
        assert got[f'nemd/{measure.__name__}'] == pytest.approx(
            measure(unit, **draw)
        )
    seen = {}

    def note(points, groups, **given):
        seen.update(given)
        return nemd(points, groups)

    monkeypatch.setattr('pauc_mm.evaluation.metrics.nemd.nemd', note)
    options = dict(num_pairs=2, num_members=8, seed=3, solver='sinkhorn')
    evaluate(NEMD(**options), samples(points, labels))
    assert seen == options


@pytest.mark.parametrize('field', ['embedding', 'feature'])
def test_clusters_of_a_seed(field):
    points, _ = points_and_labels(spread=1.5)
    options = dict(groups='clusters', num_clusters=7, seed=2, field=field)
    got = evaluate(NEMD(**options), samples(points))
    unit = F.normalize(points.flip(1) if field == 'feature' else points, dim=1)
    groups = FaissKMeans(spherical=True).fit(unit.numpy(), 7, 2).assignments
    sizes = torch.bincount(torch.as_tensor(groups))
    expected = nemd(unit, groups, seed=2)
    assert got['nemd/value'] == pytest.approx(expected.value, abs=1e-6)
    assert got['nemd/group_entropy'] == pytest.approx(cluster_entropy(sizes))
    assert got['nemd/intra_variance'] == pytest.approx(
        intra_group_variance(unit, groups)
    )
    assert len(set(sizes.tolist())) > 1


@pytest.mark.parametrize('distance, share', [(0.024, 0.5), (0.026, 1.0)])
def test_mean_directions_nearer_than_0_025_are_one(distance, share):
    turn = torch.tensor(1 - distance).acos()
    points = torch.stack(
        [torch.tensor([1.0, 0]), torch.stack([turn.cos(), turn.sin()])]
    ).repeat(3, 1)
    got = evaluate(NEMD(), samples(points, torch.arange(6) % 2))
    assert got['nemd/unique_share'] == share


def test_mean_directions_do_not_depend_on_lengths():
    features = torch.tensor([[10.0, 0], [0, 1], [1, 1], [1, 1]])
    data_samples = make_samples(features, features, [0, 0, 1, 1])
    got = evaluate(NEMD(field='feature'), data_samples)
    assert got['nemd/unique_share'] == 0.5


def test_groups_that_all_cancel_out_have_one_direction():
    points = torch.cat([torch.eye(2), -torch.eye(2)])
    got = evaluate(NEMD(), samples(points, [0, 1, 0, 1]))
    assert got['nemd/unique_share'] == 1 and got['nemd/num_groups'] == 2


def test_groups_of_one_and_of_three():
    points, _ = points_and_labels(num=4)
    # Labels may have gaps.
    got = evaluate(NEMD(), samples(points, [3, 9, 9, 9]))
    assert got['nemd/group_entropy'] == pytest.approx(cluster_entropy([1, 3]))
    assert got['nemd/mean_members'] == 2


def test_defaults_are_those_of_the_documentation():
    metric = NEMD()
    assert metric.options == dict(
        num_pairs=2000, num_members=64, seed=0, solver='emd'
    )
    assert metric.sampling == dict(max_samples=10000, seed=0)
    assert metric.field == 'embedding' and metric.groups == 'labels'
    NEMD('clusters', 2, num_pairs=2, num_members=1, max_samples=2)


@pytest.mark.parametrize('field', ['embedding', 'feature'])
def test_vectors_of_length_zero_are_named(field):
    batch = make_samples(torch.eye(3), torch.eye(3), [0, 1, 2])
    batch[1].feature = batch[1].embedding = torch.zeros(3)
    with pytest.raises(ValueError, match=f'1 of 3 {field} have zero norm'):
        evaluate(NEMD(field=field), batch)
