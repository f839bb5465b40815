# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from tests.helpers import TinyImages, model_cfg
from tests.test_models.test_pcl import step, with_prototypes


def by_hand(query, key, assigned, weights, temperature=0.1):
    """Eq. 7's three terms by loops over clusters and pairs."""
    totals = torch.zeros(3)
    for ids in assigned:
        clusters = sorted(set(ids.tolist()))
        p = [F.normalize(query[ids == c].mean(0), dim=0) for c in clusters]
        q = [F.normalize(key[ids == c].mean(0), dim=0) for c in clusters]
        align = sum((a - b).norm() ** 2 for a, b in zip(p, q)) / len(p)
        uniform, corr, pairs = 0.0, 0.0, 0
        for i, a in enumerate(p):
            for j, b in enumerate(p):
                if i != j:
                    pairs += 1
                    uniform += torch.exp(-2 * (a - b).norm() ** 2)
                    pa = torch.softmax(a / temperature, 0)
                    pb = torch.softmax(b / temperature, 0)
                    corr += (pa * (pb / pa).log()).sum()
        totals += torch.stack([align, uniform / pairs, corr / pairs])
    return totals / len(assigned) * torch.tensor(weights)


def test_terms_equal_the_loop():
    torch.manual_seed(0)
    model = with_prototypes(
        MODELS.build(
            model_cfg(
                'PAUC',
                align_loss=dict(
                    type='PrototypeAlignmentLoss', loss_weight=2.0
                ),
                uniform_loss=dict(
                    type='PrototypeUniformityLoss', loss_weight=3.0
                ),
                corr_loss=dict(
                    type='PrototypeCorrelationLoss', loss_weight=0.5
                ),
            )
        )
    )
    query = F.normalize(torch.randn(6, 8), dim=1)
    key = F.normalize(torch.randn(6, 8), dim=1)
    assigned = model.prototypes.lookup(torch.arange(6))
    losses = model.prototype_losses(query, key, assigned)
    want = by_hand(query, key, assigned, [2.0, 3.0, 0.5])
    for name, value in zip(('loss_align', 'loss_uniform', 'loss_corr'), want):
        assert losses[name].item() == pytest.approx(value.item(), rel=1e-5)


def test_all_terms_reach_the_encoder():
    torch.manual_seed(0)
    model = with_prototypes(MODELS.build(model_cfg('PAUC')))
    losses = step(model)
    for name in ('loss_align', 'loss_uniform', 'loss_corr'):
        model.zero_grad()
        losses[name].backward(retain_graph=True)
        gradient = sum(p.grad.abs().sum() for p in model.backbone.parameters())
        assert gradient > 0, name


def test_terms_can_be_left_out():
    torch.manual_seed(0)
    model = with_prototypes(
        MODELS.build(model_cfg('PAUC', align_loss=None, corr_loss=None))
    )
    losses = step(model)
    assert 'loss_uniform' in losses
    assert not {'loss_align', 'loss_corr'} & set(losses)


def test_the_stored_centroids_of_all_sets_are_mixed_in():
    torch.manual_seed(0)
    model = with_prototypes(
        MODELS.build(model_cfg('PAUC', centroid_weight=0.3))
    )
    query = F.normalize(torch.randn(6, 8), dim=1)
    assigned = model.prototypes.lookup(torch.arange(6))
    losses = model.prototype_losses(query, query, assigned)
    total = 0.0
    for centroids, ids in zip(model.prototypes.centroids, assigned):
        p = []
        for c in sorted(set(ids.tolist())):
            own = F.normalize(query[ids == c].mean(0), dim=0)
            p.append(F.normalize(0.7 * own + 0.3 * centroids[c], dim=0))
        total += torch.pdist(torch.stack(p)).pow(2).mul(-2).exp().mean()
    assert losses['loss_uniform'].item() == pytest.approx(
        total.item() / 2, rel=1e-5
    )
    assert losses['loss_align'].item() == pytest.approx(0, abs=1e-9)


def test_batches_in_one_cluster_have_no_pairs_and_are_counted(monkeypatch):
    torch.manual_seed(0)
    said = []
    monkeypatch.setattr(
        'pauc_mm.models.pauc.print_log', lambda text, **_: said.append(text)
    )
    model = with_prototypes(MODELS.build(model_cfg('PAUC')))
    model.prototypes.assignments[0] = torch.arange(6) % 2  # one pair
    step(model)
    model.prototypes.assignments[1] = 1
    for _ in range(2):
        losses = step(model)
    model.end_epoch()
    model.end_epoch()  # counts anew
    assert len(said) == 1
    assert 'In 2 of 3 batches' in said[0] and 'num_clusters[1]' in said[0]
    model.prototypes.assignments[:] = 1
    losses = step(model)
    assert losses['loss_uniform'].item() == losses['loss_corr'].item() == 0
    assert losses['loss_align'].item() > 0
    model.end_epoch()
    assert len(said) == 3 and 'In 1 of 1 batches' in said[1]
    total, _ = model.parse_losses(losses)
    total.backward()
    assert all(
        torch.isfinite(p.grad).all() for p in model.backbone.parameters()
    )


@pytest.mark.parametrize('weight', [-0.1, 1.0])
def test_refuses_a_centroid_weight_out_of_range(weight):
    with pytest.raises(ValueError, match='model.centroid_weight'):
        MODELS.build(model_cfg('PAUC', centroid_weight=weight))
    assert MODELS.build(model_cfg('PAUC')).centroid_weight == 0


@pytest.mark.parametrize(
    'images, batch_size, key',
    [
        (5, 2, 'model.num_clusters'),  # as with PCL
        (8, 1, 'train_dataloader.batch_size=1'),
    ],
)
def test_refuses_a_training_that_cannot_work(images, batch_size, key):
    loader = SimpleNamespace(
        dataset=TinyImages(num_images=images), batch_size=batch_size
    )
    runner = SimpleNamespace(train_dataloader=loader, hooks=[])
    model = MODELS.build(model_cfg('PAUC'))
    with pytest.raises(ValueError, match=key):
        model.check_setup(runner)
    loader.dataset, loader.batch_size = TinyImages(num_images=8), 2
    model.check_setup(runner)  # the fewest that have a pair
