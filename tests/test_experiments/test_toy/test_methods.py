# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The toy trains the registered models with their own losses."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from mmpretrain.models import MoCo
from mmpretrain.registry import MODELS

from experiments.toy import METHODS, PointMLP, build_model
from pauc_mm.models import PAUC, PCL
from tests.test_experiments.test_toy.helpers import TINY


def views(step):
    generator = torch.Generator().manual_seed(step)
    return list(torch.randn(2, TINY.batch_size, 3, generator=generator))


def samples():
    return [SimpleNamespace(sample_idx=i) for i in range(TINY.batch_size)]


def with_prototypes(name):
    """A model as after an E-step with arbitrary prototypes."""
    model = build_model(name, 3, 0, TINY)
    generator = torch.Generator().manual_seed(5)
    sizes = (3, 6, 12)
    model.prototypes.update(
        [torch.randn(k, 2, generator=generator) for k in sizes],
        [torch.full((k,), 0.1) for k in sizes],
        torch.stack([torch.arange(TINY.batch_size) % k for k in sizes]),
        torch.device('cpu'),
        0,
    )
    model.seed_negatives(1)
    return model


def test_the_models_are_the_registered_ones():
    kinds = {name: type(build_model(name, 3, 0, TINY)) for name in METHODS}
    assert kinds['moco'] is MoCo and kinds['pcl'] is PCL
    for name in ('pauc-20-20-5', 'pauc-50-5-1', 'pauc-0-100-0'):
        assert kinds[name] is PAUC
    assert issubclass(kinds['pauc-literal'], PAUC)


@pytest.mark.parametrize('name', METHODS)
def test_all_methods_start_from_the_same_weights_on_the_circle(name):
    first = build_model('moco', 3, 0, TINY).state_dict()
    before = torch.random.get_rng_state()
    model = build_model(name, 3, 0, TINY)
    assert torch.equal(before, torch.random.get_rng_state())
    state = model.state_dict()
    for key in ('backbone.layers.0.weight', 'neck.fc.weight', 'queue'):
        assert torch.equal(state[key], first[key]), key
    assert model.neck(model.backbone(views(0)[0]))[0].shape == (64, 2)
    other = build_model(name, 3, 1, TINY).state_dict()['queue']
    assert not torch.equal(other, first['queue'])


def test_before_the_first_e_step_pcl_trains_as_mmpretrains_moco():
    pair = [build_model(name, 3, 0, TINY) for name in ('moco', 'pcl')]
    optimizers = [
        OptimWrapper(torch.optim.Adam(model.parameters(), lr=1e-2))
        for model in pair
    ]
    pair[1].seed_negatives(1)
    losses = []
    for step in range(5):  # past the length of the queue
        data = dict(inputs=views(step), data_samples=samples())
        losses.append(
            [
                model.train_step(data, optimizer)['loss'].item()
                for model, optimizer in zip(pair, optimizers)
            ]
        )
    moco, pcl = torch.tensor(losses).T
    assert torch.allclose(moco, pcl, atol=1e-5)
    assert moco.std() > 1e-3  # a constant would be no evidence


def test_infonce_is_equation_1():
    model = build_model('pcl', 3, 0, TINY)
    queue = model.queue.double()
    query_view, key_view = views(0)
    # at the first step the momentum encoder has the query encoder's weights
    query, key = (
        F.normalize(model.neck(model.backbone(view))[0].double(), dim=1)
        for view in (query_view, key_view)
    )
    total = 0.0
    for v, positive in zip(query, key):
        scores = torch.cat([(v * positive).sum()[None], v @ queue]) / 0.1
        total -= (scores[0] - scores.exp().sum().log()).item()
    loss = model.loss([query_view, key_view], samples())['loss_infonce']
    assert loss.item() == pytest.approx(total / TINY.batch_size, rel=1e-5)


def test_the_literal_sign_changes_the_three_terms_and_nothing_else():
    plain = with_prototypes('pauc-20-20-5').loss(views(0), samples())
    literal = with_prototypes('pauc-literal').loss(views(0), samples())
    assert plain.keys() == literal.keys()
    for name in ('loss_align', 'loss_uniform', 'loss_corr'):
        assert abs(plain[name]) > 1e-3
        assert torch.equal(literal[name], -plain[name])
    for name in ('loss_infonce', 'loss_protonce'):
        assert torch.equal(literal[name], plain[name])


def test_the_weights_of_pauc_are_those_of_its_name():
    ones = with_prototypes('pauc-20-20-5').loss(views(0), samples())
    for name, weights in (
        ('pauc-50-5-1', (50 / 20, 5 / 20, 1 / 5)),
        ('pauc-0-100-0', (0, 100 / 20, 0)),
    ):
        losses = with_prototypes(name).loss(views(0), samples())
        for term, ratio in zip(('align', 'uniform', 'corr'), weights):
            key = f'loss_{term}'
            assert (key in losses) is (ratio > 0)
            if not ratio:
                continue
            assert losses[key].item() == pytest.approx(
                ratio * ones[key].item(), rel=1e-5
            )
        assert f'({name[5:].replace("-", ", ")})' in METHODS[name].label


def test_the_backbone_is_linear_layers_with_relu():
    backbone = MODELS.build(dict(type='PointMLP', channels=[5, 4]))
    x = expected = torch.randn(7, 3)
    for layer in (backbone.layers[0], backbone.layers[2]):
        expected = (expected @ layer.weight.T + layer.bias).clamp(min=0)
    (out,) = backbone(x)
    assert out.shape == (7, 4)
    assert torch.allclose(out, expected, atol=1e-6)
    with pytest.raises(ValueError, match='at least one layer'):
        PointMLP(channels=())
