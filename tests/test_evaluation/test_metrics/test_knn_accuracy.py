# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import sys
from types import SimpleNamespace

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmpretrain.registry import METRICS
from mmpretrain.structures import DataSample

from pauc_mm.evaluation import KNNAccuracy, knn_predict
from pauc_mm.evaluation.metrics import embedding_metric
from tests.test_evaluation.test_metrics.helpers import evaluate


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


@pytest.mark.parametrize('field', ['feature', 'embedding'])
def test_bank_and_query(field):
    bank, query = samples(50, 'bank'), samples(21, 'query', seed=1)
    got = evaluate(
        KNNAccuracy(k=(5, 50), field=field),
        bank[:30],
        bank[30:],
        query[:10],
        query[10:],
    )
    predictions = knn_predict(
        stack(query, field), stack(bank, field), labels(bank), 4, (5, 50)
    )
    assert got == {
        f'knn/k{k}': (predictions[k] == labels(query)).double().mean().item()
        for k in (5, 50)
    }
    assert 0.3 < got['knn/k5'] < 1 or field == 'embedding'


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
        sample.feature = sample.feature.bfloat16().requires_grad_()
    Evaluator(metric).process(data_samples=batch)
    (kept,) = metric.results
    assert kept['vectors'].dtype == torch.float32
    assert kept['vectors'].device.type == 'cpu'
    assert not kept['vectors'].requires_grad
    before = kept['vectors'].clone()
    for sample in batch:
        sample.feature.detach().zero_()
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
        (0, 20, r'KNNAccuracy.k=20 .*other of 20 queries.*at most 19'),
    ],
)
def test_k_beyond_the_bank(bank, query, found):
    metric = KNNAccuracy(k=(20, 5))
    with pytest.raises(ValueError, match=found):
        metric.check_sizes(bank, query)
    with pytest.raises(ValueError, match=found):
        metric.prepare(None, bank, query)
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
    with pytest.raises(ValueError, match="split.*sample_idx 0.*'train'"):
        evaluate(KNNAccuracy(k=1), samples(5, split='train'))


def test_only_a_bank():
    with pytest.raises(ValueError, match='no query'):
        evaluate(KNNAccuracy(k=1), samples(5, split='bank'))


@pytest.mark.parametrize('split', ['query', 'bank'])
def test_non_finite_features_are_named(split):
    batch, others = samples(9, split), samples(3) if split == 'bank' else []
    batch[4].feature = batch[4].feature / 0
    batch[7].feature[0] = float('nan')
    batch[7].set_metainfo(dict(img_path='cat.png'))
    found = rf'2 of 9 {split} .*sample_idx 4, sample_idx 7 \(cat.png\)'
    with pytest.raises(ValueError, match=found):
        evaluate(KNNAccuracy(k=1), batch, others)
    for sample in batch[1:]:
        sample.feature = sample.feature * float('inf')
    first = ', '.join(f'sample_idx {i}' for i in range(1, 5))
    with pytest.raises(ValueError, match=f'8 of 9 .* first: {first}, '):
        evaluate(KNNAccuracy(k=1), batch, others)


@pytest.mark.parametrize(
    'options, found',
    [
        (dict(k=0), 'KNNAccuracy.k.*0'),
        (dict(k=()), 'KNNAccuracy.k'),
        (dict(k=(20, 0.5)), 'KNNAccuracy.k.*0.5'),
        (dict(temperature=0), 'KNNAccuracy.temperature.*0'),
        (dict(field='logits'), "KNNAccuracy.field.*'logits'"),
    ],
)
def test_bad_arguments(options, found):
    with pytest.raises(ValueError, match=found):
        KNNAccuracy(**options)


def test_missing_faiss(monkeypatch):
    monkeypatch.setitem(sys.modules, 'faiss', None)
    with pytest.raises(ImportError, match='KNNAccuracy.*install faiss-cpu'):
        KNNAccuracy()


@pytest.mark.parametrize(
    'options, right', [(dict(), 1), (dict(temperature=100.0), 0)]
)
def test_the_temperature_weighs_the_votes(options, right):
    # One near neighbour of the query's class, and two of another one.
    turns = torch.tensor([0.1, 1.0, 1.0, 0.0])
    batch = samples(4)
    for sample, turn, label in zip(batch, turns, (0, 1, 1, 0)):
        sample.feature = torch.stack([turn.cos(), turn.sin()])
        sample.set_gt_label(label)
        sample.set_metainfo(dict(split='bank'))
    batch[3].set_metainfo(dict(split='query'))
    got = evaluate(KNNAccuracy(k=3, **options), batch)
    assert got == {'knn/k3': right}


@pytest.mark.parametrize('shape', [(4, 2), ()])
def test_a_feature_that_is_no_vector(shape):
    batch = samples(5)
    batch[2].feature = torch.ones(shape)
    with pytest.raises(ValueError, match='vector `feature`.*sample_idx 2'):
        evaluate(KNNAccuracy(k=1), batch)


@pytest.mark.parametrize('ranks', [1, 2, 3])
def test_the_parts_of_processes_become_the_data_set(ranks):
    """Samples take turns; queries are repeated, so that each has as many."""
    sizes, parts = dict(bank=8, query=7), []
    for rank in range(ranks):
        metric = KNNAccuracy(k=1)
        for split, size in sizes.items():
            rows = [*range(rank, size, ranks)]
            if split == 'query':
                rows += [0] * (-(-size // ranks) - len(rows))
            every = samples(size, split)
            for some in (rows[:2], rows[2:]):
                metric.process(None, [every[i].to_dict() for i in some])
        parts.append(metric.results)
    merged = metric._merge(parts, sum(sizes.values()))
    for whole, (split, size) in zip(merged, sizes.items(), strict=True):
        every = samples(size, split)
        assert whole['split'] == split
        assert torch.equal(whole['labels'], labels(every))
        assert torch.equal(whole['vectors'], stack(every))
        assert whole['names'] == [f'sample_idx {i}' for i in range(size)]


def test_where_results_are_collected(monkeypatch):
    seen = []

    def collect(parts, *options):
        seen.append(options)
        return parts

    monkeypatch.setattr(embedding_metric, 'collect_results', collect)
    evaluate(KNNAccuracy(k=1, collect_dir='x'), samples(5))
    evaluate(KNNAccuracy(k=1, collect_device='gpu'), samples(5))
    assert seen == [(1, 'cpu', 'x'), (1, 'gpu', None)]


# ---- groups of classes -----------------------------------------------------
def hand_made():
    """Neighbours on a line of directions, whose classes are plain to see.

    The bank has one direction for each of the classes 0, 1 and 2; a query
    gets the class of the direction that it has.
    """
    directions = torch.eye(3)

    def sample(i, label, direction, split):
        sample = DataSample(metainfo=dict(sample_idx=i, split=split))
        sample.set_gt_label(label)
        sample.feature = directions[direction]
        return sample

    bank = [sample(i, i, i, 'bank') for i in range(3)]
    # Class 0: 3 of 4 right; class 1: 1 of 2; class 2: 0 of 1.
    queries = [(0, 0), (0, 0), (0, 0), (0, 1), (1, 1), (1, 2), (2, 0)]
    return bank + [
        sample(i, label, direction, 'query')
        for i, (label, direction) in enumerate(queries)
    ]


def test_accuracy_by_group():
    groups = dict(head=[0], middle=[1, 0], tail=[2])
    with pytest.raises(ValueError, match="0 is in 'head'.*in 'middle'"):
        KNNAccuracy(k=1, class_groups=groups)
    groups = dict(head=[0, 1], tail=(2,))
    metric = KNNAccuracy(k=(1,), class_groups=groups)
    groups['head'].append(9)  # theirs, not the metric's
    assert metric.class_groups == dict(head=[0, 1], tail=[2])
    got = evaluate(metric, hand_made())
    assert got == {
        'knn/k1': pytest.approx(4 / 7),
        # The mean of 3/4 and 1/2; 4/6 would weigh class 0 twice.
        'knn/k1_head': 0.625,
        'knn/k1_tail': 0.0,
    }


def test_groups_of_every_k():
    bank, query = samples(50, 'bank'), samples(21, 'query', seed=1)
    got = evaluate(
        KNNAccuracy(k=(5, 50), class_groups=dict(a=[3], rest=range(3))),
        bank + query,
    )
    predictions = knn_predict(
        stack(query), stack(bank), labels(bank), 4, (5, 50)
    )
    for k in (5, 50):
        right = (predictions[k] == labels(query)).numpy()
        recall = [right[c::4].mean() for c in range(4)]
        assert got[f'knn/k{k}_a'] == pytest.approx(recall[3])
        assert got[f'knn/k{k}_rest'] == pytest.approx(sum(recall[:3]) / 3)
        assert got[f'knn/k{k}'] == pytest.approx(right.mean())


def trained_on(*counts):
    """Stand in for a runner that is asked for its training set."""
    labels = [c for c, number in enumerate(counts) for _ in range(number)]
    dataset = SimpleNamespace(get_gt_labels=lambda: labels)
    return SimpleNamespace(
        _train_dataloader=dict(dataset=dataset), _train_loop=None
    )


def test_groups_of_the_training_set():
    metric = KNNAccuracy(k=1, class_groups='train')
    with pytest.raises(ValueError, match='EmbeddingValLoop'):
        evaluate(metric, hand_made())
    metric.prepare(trained_on(10, 90, 30), bank=3, query=7)
    got = evaluate(metric, hand_made())
    assert got['knn/k1_head'] == 0.5  # class 1
    assert got['knn/k1_middle'] == 0.0  # class 2
    assert got['knn/k1_tail'] == 0.75  # class 0
    with pytest.raises(ValueError, match="class_groups='train'.*no head"):
        metric.prepare(trained_on(5, 5, 5), bank=3, query=7)


def test_group_of_an_unknown_class():
    metric = KNNAccuracy(k=1, class_groups=dict(head=[0], tail=[2, 7]))
    with pytest.raises(ValueError, match=r"'tail'.*class 7, only of 0 to 2"):
        evaluate(metric, hand_made())


@pytest.mark.parametrize(
    'groups, found',
    [
        ({}, r"'train' or a dict.*got \{\}"),
        ('test', "'train' or a dict.*got 'test'"),
        ([[0], [1]], "'train' or a dict"),
        (dict(head=[]), r"\['head'\] must be a list of one or more.*\[\]"),
        (dict(head=3), r"\['head'\] must be a list.*got 3"),
        (dict(head=['0']), r"\['head'\] must be an integer.*'0'"),
        (dict(head=[True]), 'must be an integer.*True'),
        (dict(head=[1, 1]), "class 1 is in 'head' and again in 'head'"),
        (dict(head=[0, 1], tail=[2, 1]), "class 1 is in 'head'.*'tail'"),
    ],
)
def test_bad_groups(groups, found):
    with pytest.raises(ValueError, match=found):
        KNNAccuracy(class_groups=groups)
