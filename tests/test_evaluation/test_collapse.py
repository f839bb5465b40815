# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from pauc_mm.evaluation import collapse
from pauc_mm.evaluation.functional import (
    cluster_entropy,
    effective_rank,
    intra_group_variance,
    koleo,
    nesum,
    rankme,
    uniformity,
    unique_prototypes,
)
from pauc_mm.models.prototypes import PrototypeSet
from tests.helpers import model_cfg


def unit(rows, dim=4):
    return F.normalize(torch.randn(rows, dim), dim=1)


def swav():
    loss = dict(type='SwAVLoss', feat_dim=8, num_prototypes=[5, 3])
    neck = dict(
        type='SwAVNeck', in_channels=16, hid_channels=16, out_channels=8
    )
    return dict(
        type='SwAV',
        backbone=model_cfg()['backbone'],
        neck=neck,
        head=dict(type='SwAVHead', loss=loss),
    )


def moco():
    model = model_cfg('MoCo')
    del model['num_clusters'], model['proto_head']
    return model


@pytest.mark.parametrize(
    'cfg, known, sizes',
    [(swav, True, [5, 3]), (moco, False, []), (model_cfg, True, [])],
)
def test_models_with_prototypes(cfg, known, sizes):
    model = MODELS.build(cfg())
    for net in (model, torch.nn.DataParallel(model)):
        assert collapse.has_prototypes(net) is known
        sets = collapse.prototype_sets(net)
        assert [len(s.vectors) for s in sets] == sizes
        assert not any(s.vectors.requires_grad for s in sets)


@pytest.mark.parametrize(
    'number, most, rows',
    [(3, 5, [0, 1, 2]), (5, 5, range(5)), (11, 3, [0, 5, 10]), (9, 1, [0])],
)
def test_rows_are_evenly_spaced(number, most, rows):
    assert collapse.evenly(number, most).tolist() == list(rows)


def test_images_without_a_direction_leave_their_prototypes():
    embeddings, features = unit(12), torch.randn(12, 5)
    embeddings[[0, 5]] = 0
    kept = [i for i in range(12) if i not in (0, 5)]
    rows = np.arange(12) * 2
    assignments = torch.randint(3, (24,))
    prototypes = PrototypeSet(unit(3), assignments)
    got = collapse.measure_collapse(features, embeddings, [prototypes], rows)
    groups = assignments[rows[kept]]
    groups[torch.bincount(groups, minlength=3)[groups] < 2] = -1
    sizes = torch.bincount(assignments, minlength=3)
    assert got == pytest.approx(
        dict(
            zero_share=1 / 6,
            uniformity=uniformity(embeddings[kept]),
            effective_rank=effective_rank(embeddings[kept]),
            feature_effective_rank=effective_rank(features[kept]),
            rankme=rankme(embeddings[kept]),
            nesum=nesum(embeddings[kept]),
            unique_share_0=unique_prototypes(prototypes.vectors)[0.025],
            koleo_0=koleo(prototypes.vectors),
            cluster_entropy_0=cluster_entropy(sizes),
            intra_variance_0=intra_group_variance(embeddings[kept], groups),
        )
    )


@pytest.mark.parametrize('alive', [1, 2])
def test_two_directions_are_needed(alive):
    embeddings = unit(5)
    embeddings[alive:] = 0
    given = torch.randn(5, 3), embeddings, [], np.arange(5)
    if alive == 2:
        assert collapse.measure_collapse(*given)['zero_share'] == (
            pytest.approx(0.6)
        )
        return
    with pytest.raises(ValueError, match='4 of 5 embeddings are zero'):
        collapse.measure_collapse(*given)


def test_what_is_not_finite_is_refused():
    embeddings = unit(5)
    embeddings[3, 0] = torch.nan
    with pytest.raises(ValueError, match='1 of 5 embeddings are not finite'):
        collapse.measure_collapse(unit(5), embeddings, [], np.arange(5))


@pytest.mark.parametrize('stored', [True, False])
def test_prototypes_without_images(stored):
    # Images 0 and 1 have prototypes of their own, and 2 and 3 share one;
    # 2 and the last have none.
    vectors = torch.eye(5)
    vectors[2] *= 100  # the direction counts
    embeddings = F.normalize(vectors[[0, 1, 3, 3]] + 0.1, dim=1)
    embeddings[3, 2] += 0.2
    assigned = torch.tensor([0, 1, 3, 3]) if stored else None
    prototypes = PrototypeSet(vectors, assigned)
    given = embeddings, embeddings, [prototypes]
    got = collapse.measure_collapse(*given, np.arange(4))
    assert got['cluster_entropy_0'] == pytest.approx(
        cluster_entropy([1, 1, 0, 2, 0])
    )
    assert got['intra_variance_0'] == pytest.approx(
        intra_group_variance(embeddings[2:], torch.zeros(2).long())
    )
    lone = embeddings[:3]
    got = collapse.measure_collapse(lone, lone, [prototypes], np.arange(3))
    assert 'intra_variance_0' not in got  # and no 0


def test_many_prototypes_are_compared_by_a_few(monkeypatch):
    assert collapse._MAX_PROTOTYPES == 5000
    monkeypatch.setattr(collapse, '_MAX_PROTOTYPES', 3)
    vectors = torch.eye(4)[[0, 1, 0, 2, 0]]  # of which 0, 2 and 4 are taken
    given = unit(6), unit(6), [PrototypeSet(vectors)], np.arange(6)
    got = collapse.measure_collapse(*given)
    assert got['unique_share_0'] == pytest.approx(1 / 3)


def test_each_set_is_measured_by_itself():
    one = PrototypeSet(torch.eye(4), torch.tensor([0, 0, 1, 1, 2, 3]))
    two = PrototypeSet(torch.eye(4)[:3].half())  # without assignments
    points = unit(6)
    both = collapse.measure_collapse(points, points, [one, two], np.arange(6))
    for m, sets in enumerate(([one], [two])):
        alone = collapse.measure_collapse(points, points, sets, np.arange(6))
        for name in ('unique_share', 'cluster_entropy', 'intra_variance'):
            assert both[f'{name}_{m}'] == alone[f'{name}_0']


@pytest.mark.parametrize('distance, share', [(0.024, 0.5), (0.026, 1.0)])
def test_prototypes_nearer_than_0_025_are_one(distance, share):
    turn = torch.tensor(1 - distance, dtype=torch.float64).acos()
    vectors = torch.tensor([[1.0, 0], [turn.cos(), turn.sin()]])
    points, sets = unit(6, 2), [PrototypeSet(vectors)]
    got = collapse.measure_collapse(points, points, sets, np.arange(6))
    assert got['unique_share_0'] == share
