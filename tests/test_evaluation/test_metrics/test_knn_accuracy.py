# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import sys

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmpretrain.registry import METRICS
from mmpretrain.structures import DataSample

from pauc_mm.evaluation import KNNAccuracy, knn_predict


def samples(num, split=None, seed=0, num_classes=4):
    generator = torch.Generator().manual_seed(seed)
    data_samples = []
    for i in range(num):
        label = i % num_classes
        sample = DataSample(metainfo=dict(sample_idx=i)).set_gt_label(label)
        center = torch.zeros(num_classes)
        center[label] = 1
        sample.feature = center + torch.randn(num_classes, generator=generator)
        sample.embedding = -torch.rand(3, generator=generator)
        if split:
            sample.set_metainfo(dict(split=split))
        data_samples.append(sample)
    return data_samples


def evaluate(metric, *batches):
    evaluator = Evaluator(metric)
    for batch in batches:
        evaluator.process(data_samples=batch)
    return evaluator.evaluate(sum(len(batch) for batch in batches))


def stack(data_samples, field='feature'):
    return torch.stack([getattr(s, field) for s in data_samples])


def labels(data_samples):
    return torch.cat([s.gt_label for s in data_samples])


def test_is_registered():
    init_default_scope('mmpretrain')
    metric = METRICS.build(dict(type='KNNAccuracy', k=3, prefix='other'))
    assert isinstance(metric, KNNAccuracy)
    assert metric.k == (3,) and metric.prefix == 'other'
    assert KNNAccuracy().k == (20, 200) and KNNAccuracy().prefix == 'knn'


@pytest.mark.parametrize('features', ['feature', 'embedding'])
def test_bank_and_query(features):
    bank, query = samples(50, 'bank'), samples(21, 'query', seed=1)
    got = evaluate(
        KNNAccuracy(k=(5, 50), features=features),
        bank[:30],
        bank[30:],
        query[:10],
        query[10:],
    )
    predictions = knn_predict(
        stack(query, features), stack(bank, features), labels(bank), 4, (5, 50)
    )
    assert got == {
        f'knn/k{k}': (predictions[k] == labels(query)).double().mean().item()
        for k in (5, 50)
    }
    assert 0.3 < got['knn/k5'] < 1 or features == 'embedding'


def test_without_a_bank_it_leaves_one_out():
    query = samples(40)
    got = evaluate(KNNAccuracy(k=39), query[:13], query[13:])
    x, y = stack(query), labels(query)
    right = 0
    for i in range(40):
        rest = [j for j in range(40) if j != i]
        prediction = knn_predict(x[i : i + 1], x[rest], y[rest], 4, k=39)
        right += int(prediction[39] == y[i])
    assert got == {'knn/k39': right / 40}


def test_batches_of_both_splits_and_a_class_unknown_to_the_bank():
    bank, query = samples(8, 'bank'), samples(5, 'query')
    query[4].set_gt_label(9)
    got = evaluate(
        KNNAccuracy(k=1), [*bank[:4], *query[:2]], bank[4:], query[2:]
    )
    # The first 8 samples of a seed are the same in both splits.
    assert got == {'knn/k1': 4 / 5}


def test_results_are_float32_on_their_own_memory():
    metric = KNNAccuracy(k=1)
    batch = samples(4)
    for sample in batch:
        sample.feature = sample.feature.bfloat16()
    Evaluator(metric).process(data_samples=batch)
    (kept,) = metric.results
    assert kept['vectors'].dtype == torch.float32
    assert kept['vectors'].device.type == 'cpu'
    before = kept['vectors'].clone()
    for sample in batch:
        sample.feature.zero_()
    assert torch.equal(kept['vectors'], before)


def test_can_be_evaluated_again():
    metric = KNNAccuracy(k=3)
    first = evaluate(metric, samples(20))
    assert evaluate(metric, samples(20)) == first
    assert metric.results == []


def test_padding_is_dropped():
    query = samples(20)
    metric = KNNAccuracy(k=3)
    evaluator = Evaluator(metric)
    evaluator.process(data_samples=query + query[:3])
    assert evaluator.evaluate(20) == evaluate(KNNAccuracy(k=3), query)


@pytest.mark.parametrize(
    'bank, query, found',
    [
        (10, 30, r'KNNAccuracy.k=20 .*bank of 10 samples.*at most 10'),
        (0, 20, r'KNNAccuracy.k=20 .*20 samples without a bank.*at most 19'),
    ],
)
def test_k_beyond_the_bank(bank, query, found):
    metric = KNNAccuracy(k=(5, 20))
    with pytest.raises(ValueError, match=found):
        metric.check_sizes(bank, query)
    batches = [b for b in (samples(bank, 'bank'), samples(query)) if b]
    with pytest.raises(ValueError, match=found):
        evaluate(metric, *batches)


def test_missing_label():
    batch = samples(5)
    del batch[2].gt_label
    with pytest.raises(ValueError, match='one gt_label.*sample_idx 2'):
        evaluate(KNNAccuracy(k=1), batch)


def test_several_labels():
    batch = samples(5)
    batch[3].set_gt_label([0, 1])
    with pytest.raises(ValueError, match='one gt_label.*sample_idx 3'):
        evaluate(KNNAccuracy(k=1), batch)


def test_missing_feature():
    batch = samples(5)
    del batch[1].feature
    with pytest.raises(ValueError, match='`feature`.*sample_idx 1.*ValLoop'):
        evaluate(KNNAccuracy(k=1), batch)


def test_unknown_split():
    with pytest.raises(ValueError, match="split.*'train'.*sample_idx 0"):
        evaluate(KNNAccuracy(k=1), samples(5, split='train'))


def test_only_a_bank():
    with pytest.raises(ValueError, match='no query'):
        evaluate(KNNAccuracy(k=1), samples(5, split='bank'))


def test_non_finite_features_are_named():
    batch = samples(9)
    batch[4].feature = batch[4].feature / 0
    batch[7].feature[0] = float('nan')
    batch[7].set_metainfo(dict(img_path='cat.png'))
    found = r'2 of 9 query .*sample_idx 4, sample_idx 7 \(cat.png\)'
    with pytest.raises(ValueError, match=found):
        evaluate(KNNAccuracy(k=1), batch)


@pytest.mark.parametrize(
    'options, found',
    [
        (dict(k=0), 'KNNAccuracy.k.*0'),
        (dict(k=()), 'KNNAccuracy.k'),
        (dict(k=(20, 0.5)), 'KNNAccuracy.k.*0.5'),
        (dict(temperature=0), 'KNNAccuracy.temperature.*0'),
        (dict(features='logits'), "'logits'"),
    ],
)
def test_bad_arguments(options, found):
    with pytest.raises(ValueError, match=found):
        KNNAccuracy(**options)


def test_missing_faiss(monkeypatch):
    monkeypatch.setitem(sys.modules, 'faiss', None)
    with pytest.raises(ImportError, match='KNNAccuracy.*install faiss-cpu'):
        KNNAccuracy()
