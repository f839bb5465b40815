# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import logging
import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from mmpretrain.registry import METRICS

from pauc_mm.evaluation import EmbeddingGeometry
from pauc_mm.evaluation.functional import (
    effective_rank,
    singular_values,
    uniformity,
)
from pauc_mm.evaluation.functional.checks import subsample
from tests.test_evaluation.test_metrics.helpers import evaluate, make_samples


def samples(points, features=None, split=None):
    features = points if features is None else features
    return make_samples(points, features, split=split)


def test_is_registered():
    init_default_scope('mmpretrain')
    metric = METRICS.build(dict(type='EmbeddingGeometry', field='feature'))
    assert isinstance(metric, EmbeddingGeometry)
    assert metric.prefix == 'geometry_feature'
    assert EmbeddingGeometry(prefix='mine').prefix == 'mine'


def test_both_fields_side_by_side():
    points, features = torch.randn(60, 5), torch.randn(60, 9) + 1
    batch = samples(points, features)
    metrics = [EmbeddingGeometry(), EmbeddingGeometry('feature')]
    got = evaluate(metrics, batch[:40], batch[40:])
    expected = {}
    for field, rows in (('embedding', points), ('feature', features)):
        unit = F.normalize(rows.double(), dim=1)
        variance = singular_values(unit).square()
        expected[f'geometry_{field}/uniformity'] = uniformity(unit)
        expected[f'geometry_{field}/effective_rank'] = effective_rank(unit)
        expected[f'geometry_{field}/top_share'] = (
            variance[0] / variance.sum()
        ).item()
    assert got == pytest.approx(expected, abs=1e-9)


def test_known_geometry():
    # Opposite pairs along three axes, of which the first has twice as many.
    axes = torch.eye(4)[[0, 0, 1, 2]]
    got = evaluate(EmbeddingGeometry(), samples(torch.cat([axes, -axes])))
    assert got['geometry_embedding/top_share'] == pytest.approx(0.5)
    share = torch.tensor([2.0**0.5, 1, 1]) / (2 + 2**0.5)
    rank = math.exp(-(share * share.log()).sum())
    assert got['geometry_embedding/effective_rank'] == pytest.approx(rank)


def test_collapse_onto_a_line_and_to_a_point(monkeypatch):
    said = []
    monkeypatch.setattr(
        'pauc_mm.evaluation.metrics.embedding_geometry.print_log',
        lambda text, level, **_: said.append((level, text)),
    )
    line = torch.tensor([[1.0, 0, 0], [-1, 0, 0]]).repeat(10, 1)
    got = evaluate(EmbeddingGeometry(), samples(line))
    assert got['geometry_embedding/top_share'] == pytest.approx(1)
    assert got['geometry_embedding/effective_rank'] == pytest.approx(1)
    assert said == []
    got = evaluate(EmbeddingGeometry(), samples(torch.full((20, 3), 0.7)))
    assert got['geometry_embedding/top_share'] == 1
    assert got['geometry_embedding/effective_rank'] == 0
    assert got['geometry_embedding/uniformity'] == pytest.approx(0, abs=1e-9)
    ((level, text),) = said
    assert level == logging.WARNING and '`embedding`' in text


def test_bank_does_not_count_and_samples_can_be_drawn():
    points = torch.randn(80, 4)
    query = samples(points, split='query')
    bank = samples(torch.ones(30, 4), split='bank')
    whole = evaluate(EmbeddingGeometry(), query)
    assert evaluate(EmbeddingGeometry(), bank, query) == whole
    options = dict(max_samples=30, seed=1)
    some = evaluate(EmbeddingGeometry(**options), query)
    assert some == evaluate(EmbeddingGeometry(**options), query)
    assert some != whole
    drawn = samples(subsample(points, **options))
    assert some == pytest.approx(evaluate(EmbeddingGeometry(), drawn))
    options['seed'] = 2
    assert some != evaluate(EmbeddingGeometry(**options), query)
    metric = EmbeddingGeometry()
    assert (metric.max_samples, metric.seed) == (10000, 0)
    assert metric.splits == ('query',)


def test_bad_arguments():
    with pytest.raises(ValueError, match="EmbeddingGeometry.*'logits'"):
        EmbeddingGeometry(field='logits')
    with pytest.raises(ValueError, match='EmbeddingGeometry.max_samples.*1'):
        EmbeddingGeometry(max_samples=1)
    with pytest.raises(ValueError, match='EmbeddingGeometry needs 2.*got 1'):
        EmbeddingGeometry().check_sizes(bank=9, query=1)
    with pytest.raises(ValueError, match='EmbeddingGeometry needs 2.*got 1'):
        evaluate(EmbeddingGeometry(), samples(torch.ones(1, 3)))
    with pytest.raises(ValueError, match='1 of 2 embedding have zero norm'):
        evaluate(
            EmbeddingGeometry(), samples(torch.tensor([[1.0, 0], [0, 0]]))
        )
