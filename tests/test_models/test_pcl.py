# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import copy
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from mmengine.dataset import ClassBalancedDataset, RepeatDataset
from mmpretrain.registry import MODELS
from torch import nn

from pauc_mm.models.heads import ProtoNCEHead
from pauc_mm.models.momentum_contrast import MomentumContrast
from pauc_mm.utils import derive_seed
from tests.helpers import (
    TinyImages,
    advance,
    apart,
    images_batch,
    model_cfg,
)
from tests.test_models.test_losses import proto_nce_loop


def with_prototypes(model, num_samples=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    centroids = [
        torch.randn(k, 8, generator=generator) for k in model.num_clusters
    ]
    phi = [
        torch.rand(k, generator=generator) + 0.1 for k in model.num_clusters
    ]
    assignments = torch.stack(
        [
            torch.randint(k, (num_samples,), generator=generator)
            for k in model.num_clusters
        ]
    )
    model.prototypes.update(centroids, phi, assignments, torch.device('cpu'))
    return model


def step(model, batch=None):
    data = model.data_preprocessor(batch or images_batch(), training=True)
    return model(**data, mode='loss')


def test_infonce_alone_before_the_first_e_step():
    torch.manual_seed(0)
    cfg = model_cfg('PCL')
    cfg['head']['loss']['loss_weight'] = 2.0
    model = apart(MODELS.build(cfg))
    reference = copy.deepcopy(model)
    queue = model.queue.clone()
    losses = step(model)
    assert set(losses) == {'loss_infonce', 'acc_instance'}
    # Eq. 1 by hand, with a copy of the model
    data = reference.data_preprocessor(images_batch(), training=True)
    reference.train()
    q = reference.neck(reference.backbone(data['inputs'][0]))[0]
    q = F.normalize(q, dim=1)
    advance(reference)
    k = F.normalize(reference.encoder_k(data['inputs'][1])[0], dim=1)
    total, hits = 0.0, 0
    for v, key in zip(q, k):
        positive = torch.exp(v @ key / 0.1)
        negatives = torch.exp(v @ queue / 0.1).sum()
        total -= torch.log(positive / (positive + negatives))
        hits += int(v @ key > (v @ queue).max())
    assert losses['loss_infonce'].item() == pytest.approx(
        2 * total.item() / 6, rel=1e-5
    )
    assert losses['acc_instance'].item() == pytest.approx(hits / 6)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_queue_is_a_ring_for_any_batch_size(dtype):
    model = MODELS.build(model_cfg('PCL', queue_len=16)).to(dtype)
    written = []
    for _i in range(4):  # 6 + 6 + 6 + 6 keys in 16 places
        keys = F.normalize(torch.randn(6, 8), dim=1)
        model.enqueue(keys)
        written += list(keys)
    assert model.queue_ptr.item() == 24 % 16
    for place in range(16):
        newest = place + 16 if place + 16 < 24 else place
        want = written[newest].to(dtype)
        torch.testing.assert_close(model.queue[:, place], want)


def test_keys_of_several_ranks_are_shuffled_put_back_and_joined(monkeypatch):
    torch.manual_seed(0)
    model, order = MODELS.build(model_cfg('PCL')), torch.randperm(6)
    images, seen = torch.randn(6, 3, 8, 8), []
    want = copy.deepcopy(model).encode_keys(images)
    for name, stub in dict(
        get_world_size=lambda: 2,
        batch_shuffle_ddp=lambda x: (x[order], order.argsort()),
        batch_unshuffle_ddp=lambda x, undo: x[undo],
        all_gather=lambda x: [x, -x],
    ).items():
        monkeypatch.setattr(f'pauc_mm.models.momentum_contrast.{name}', stub)
    model.encoder_k.module.register_forward_pre_hook(
        lambda _, args: seen.append(args[0])
    )
    keys = model.encode_keys(images)
    torch.testing.assert_close(keys, want)
    assert torch.equal(seen[0], images[order])  # or BatchNorm would tell
    joined = model.enqueue(keys)
    assert torch.equal(joined, torch.cat([keys, -keys]))
    assert torch.equal(model.queue[:, :12].T, joined)
    assert model.queue_ptr == 12


def test_the_keys_of_a_step_serve_the_next():
    torch.manual_seed(0)
    model = MODELS.build(model_cfg('PCL', queue_len=16))
    start = model.queue.clone()
    losses = step(model)
    # The queue has changed, and backward reads it as it was.
    assert not torch.equal(model.queue[:, :6], start[:, :6])
    losses['loss_infonce'].backward()
    assert torch.equal(model.queue[:, 6:], start[:, 6:])
    assert model.queue_ptr.item() == 6
    # A key is recognised if it is nearer than all of the queue, not as near.
    same = torch.eye(8)[:1].expand(6, -1)
    model.queue[:] = same[:1].T
    assert model.instance_losses(same, same)['acc_instance'] == 0


def test_losses_after_an_e_step_and_gradients():
    torch.manual_seed(0)
    model = with_prototypes(MODELS.build(model_cfg('PCL')))
    losses = step(model)
    assert set(losses) == {
        'loss_infonce',
        'loss_protonce',
        'acc_instance',
        'acc_proto_0',
        'acc_proto_1',
    }
    for name in ('acc_instance', 'acc_proto_0', 'acc_proto_1'):
        assert 0 <= losses[name].item() <= 1
    total, _ = model.parse_losses(losses)
    total.backward()
    for name, parameter in model.named_parameters():
        if name.startswith('encoder_k'):
            assert parameter.grad is None
        else:
            assert parameter.grad.abs().sum() > 0, name


def test_training_on_fixed_prototypes_raises_prototype_accuracy():
    torch.manual_seed(0)
    model = with_prototypes(MODELS.build(model_cfg('PCL')))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    first = step(model)
    for _ in range(60):
        optimizer.zero_grad()
        losses = step(model)
        sum(v for k, v in losses.items() if 'loss' in k).backward()
        optimizer.step()
    assert losses['loss_protonce'] < 0.7 * first['loss_protonce']
    assert losses['acc_proto_0'] == 1


def test_the_momentum_encoder_starts_once_as_the_query_encoder():
    model = MODELS.build(model_cfg('PCL'))
    query = nn.Sequential(model.backbone, model.neck)
    for start in (True, False):
        with torch.no_grad():
            for parameter in query.parameters():
                parameter.add_(torch.randn_like(parameter))
        before = copy.deepcopy(model.encoder_k.module.state_dict())
        model.start_momentum_encoder()
        want = query.state_dict() if start else before
        for name, value in model.encoder_k.module.state_dict().items():
            assert torch.equal(value, want[name]), name
        assert model.encoder_k.steps == (0 if start else 1)
        model.encoder_k.steps.fill_(1)  # as after a step


@pytest.mark.parametrize('weight', [0.0, 0.25, 1.0, 2.0])
def test_the_weight_of_the_ramp_multiplies_the_losses_alone(weight):
    model = MODELS.build(model_cfg('PCL'))
    assert model.prototype_weight == 1
    model.prototype_weight = weight
    losses = dict(loss_proto=torch.tensor(3.0), acc_proto=torch.tensor(0.5))
    want = dict(loss_proto=3 * weight, acc_proto=0.5)
    assert model._ramped(losses) == want


def test_few_prototypes_are_said_and_the_batch_is_passed_on(monkeypatch):
    told, passed = [], []
    monkeypatch.setattr(
        'pauc_mm.models.pcl.print_log', lambda text, **_: told.append(text)
    )
    # eight negatives and a batch of twelve on two processes
    monkeypatch.setattr('pauc_mm.models.checks.get_world_size', lambda: 2)
    model = MODELS.build(model_cfg('PCL', num_clusters=[20, 19, 30]))
    monkeypatch.setattr(
        model.prototypes, 'check_setup', lambda *args: passed.append(args)
    )
    images = RepeatDataset(TinyImages(num_images=64), 2)
    data = SimpleNamespace(dataset=images, batch_size=6)
    runner = SimpleNamespace(train_dataloader=data)
    model.check_setup(runner)
    assert 'model.proto_head.num_negatives=8' in told[0]
    assert 'K=[19]:' in told[0]
    assert passed == [(runner, 12)]
    data.batch_size = 33
    with pytest.raises(ValueError, match='model.queue_len=64'):
        model.check_setup(runner)
    data.batch_size = 6
    model.num_clusters = (20, 65)
    with pytest.raises(ValueError, match='model.num_clusters=.* 64 training'):
        model.check_setup(runner)


def test_a_repeated_data_set_counts_once(monkeypatch):
    told = []
    monkeypatch.setattr(
        'pauc_mm.models.checks.print_log', lambda text, **_: told.append(text)
    )
    data = TinyImages(num_images=30)
    balanced = ClassBalancedDataset(data, 0.9)
    assert len(balanced) > 30
    for dataset in (data, RepeatDataset(data, 4), balanced):
        loader = SimpleNamespace(dataset=dataset, batch_size=12)
        model = MODELS.build(model_cfg('PCL'))
        MomentumContrast.check_setup(
            model, SimpleNamespace(train_dataloader=loader)
        )
        assert 'model.queue_len=64 exceeds the 30' in told.pop()


def test_predict_returns_samples_with_embeddings():
    torch.manual_seed(0)
    model = apart(MODELS.build(model_cfg('PCL'))).eval()
    batch = images_batch(views=1)
    batch['inputs'] = batch['inputs'][0]
    samples = model.val_step(batch)
    data = model.data_preprocessor(images_batch(views=1))
    maps = model.backbone(data['inputs'][0])[0]
    for i, sample in enumerate(samples):
        torch.testing.assert_close(
            sample.feature, maps[i].mean(dim=(1, 2)).detach()
        )
        assert sample.embedding.norm().item() == pytest.approx(1, abs=1e-5)
        assert sample.embedding.shape == (8,)
        assert sample.sample_idx == i
        assert sample.gt_label.item() == i % 4
    (plain,) = model(data['inputs'][0])  # of the mode by default
    torch.testing.assert_close(plain, maps)
    for sample, alone in zip(samples, model.predict(data['inputs'][0])):
        torch.testing.assert_close(alone.embedding, sample.embedding)


def test_same_layout_as_mmpretrains_moco():
    # so that checkpoints of one can start the other
    pcl = MODELS.build(model_cfg('PCL'))
    cfg = model_cfg('PCL')
    cfg.update(type='MoCo')
    del cfg['num_clusters'], cfg['proto_head']
    moco = MODELS.build(cfg)
    assert pcl.state_dict().keys() == moco.state_dict().keys()


@pytest.mark.parametrize('kind', ['PCL', 'PAUC'])
def test_bf16_autocast_keeps_losses_in_float32(kind):
    torch.manual_seed(0)
    model = with_prototypes(MODELS.build(model_cfg(kind)))
    exact = step(copy.deepcopy(model))
    seen, instance = [], model.instance_losses

    def noted(*args):
        assert not torch.is_autocast_enabled('cpu')
        seen.extend(args)
        return instance(*args)

    model.instance_losses = noted
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = step(model)
    for vectors in seen:  # normalised after half precision, not before
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(6))
    for name, value in losses.items():
        assert value.dtype == torch.float32, name
        assert torch.isfinite(value), name
        if 'loss' in name:
            # bf16 has 8 bits of mantissa, the logits are divided by 0.1
            assert value.item() == pytest.approx(
                exact[name].item(), rel=0.1, abs=0.05
            )
    assert model.queue.dtype == torch.float32


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(num_clusters=[]), 'model.num_clusters'),
        (dict(num_clusters=[100, 1]), 'model.num_clusters'),
        (dict(num_clusters=[2.5]), 'model.num_clusters'),
        (dict(num_clusters={4, 6}), 'model.num_clusters'),
        (dict(queue_len=0), 'model.queue_len'),
        (dict(momentum=1.0), 'model.momentum'),
        (dict(prototypes=dict(type='x', dim=8)), 'model.prototypes.dim'),
        (dict(prototypes=dict(type='x', dim=None)), 'model.prototypes.dim'),
        (
            dict(proto_head=dict(type='ProtoNCEHead', num_negatives=0)),
            'proto_head.num_negatives',
        ),
        (
            dict(
                head=dict(
                    type='ContrastiveHead',
                    loss=dict(type='CrossEntropyLoss'),
                    temperature=0.0,
                )
            ),
            'model.head.temperature',
        ),
    ],
)
def test_bad_values_name_the_key(changes, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(model_cfg('PCL', **changes))


def test_one_set_may_be_a_number():
    model = MODELS.build(model_cfg('PCL', num_clusters=5))
    assert model.num_clusters == model.prototypes.sizes == (5,)


def test_prototypes_that_are_no_config_name_the_new_spelling():
    with pytest.raises(TypeError, match="type='KMeansPrototypes'.*'kmeans'"):
        MODELS.build(model_cfg('PCL', prototypes='kmeans'))


def test_wrong_batches_are_explained():
    model = with_prototypes(MODELS.build(model_cfg('PCL')))
    data = model.data_preprocessor(images_batch(), training=True)
    assert model.loss(tuple(data['inputs']), data['data_samples'])
    for views in (1, 3):
        with pytest.raises(ValueError, match='two views'):
            step(model, images_batch(views=views))
    with pytest.raises(ValueError, match='two views'):
        model.loss(torch.zeros(2, 3, 8, 8), [])  # two images
    batch = images_batch()
    for sample in batch['data_samples']:
        del sample.sample_idx
    for samples in (batch['data_samples'], None):
        with pytest.raises(ValueError, match='sample_idx'):
            step(model, dict(batch, data_samples=samples))
    with pytest.raises(RuntimeError, match='Invalid mode'):
        model(torch.zeros(1, 3, 8, 8), mode='nonsense')


@pytest.mark.parametrize('mask', [True, False])
def test_the_head_passes_its_option_on(monkeypatch, mask):
    cfg = model_cfg('PCL', num_clusters=[12, 4])
    prototypes = with_prototypes(MODELS.build(cfg)).prototypes
    head = dict(type='ProtoNCEHead', num_negatives=9, mask_same_cluster=mask)
    query = F.normalize(torch.randn(6, 8), dim=1)
    assigned = torch.tensor([[3, 3, 3, 5, 0, 1], [0, 1, 0, 2, 1, 0]])
    losses = MODELS.build(head).loss(query, prototypes, assigned)
    # So many negatives are all others of each set.
    want = [
        proto_nce_loop(
            query, c, p, ids, set(range(len(c))) - set(ids), 0, mask
        )
        for c, p, ids in zip(
            prototypes.centroids,
            prototypes.concentrations().split(prototypes.sizes),
            assigned.tolist(),
        )
    ]
    mean = sum(loss for loss, _ in want) / 2
    assert losses['loss_protonce'].item() == pytest.approx(mean, rel=1e-4)
    for m, (_, accuracy) in enumerate(want):
        assert losses[f'acc_proto_{m}'].item() == pytest.approx(accuracy)
    # Two processes with half of the batch each have that mean together.
    halves, total, name = assigned.chunk(2, dim=1), 0.0, 'loss_protonce'
    for rank, part in enumerate(query.chunk(2)):
        for key, value in dict(
            all_gather=halves, get_rank=rank, get_world_size=2
        ).items():
            monkeypatch.setattr(
                f'{ProtoNCEHead.__module__}.{key}', lambda *_, v=value: v
            )
        total += MODELS.build(head).loss(
            part, prototypes, halves[rank], torch.Generator()
        )[name]
    assert total.item() / 2 == pytest.approx(mean, rel=1e-4)


def test_each_seed_of_negatives_counts():
    model, drawn = MODELS.build(model_cfg('PCL')), []
    for seed in (1, 2, 1):
        model.seed_negatives(seed)
        drawn.append(torch.rand(4, generator=model._generator).tolist())
    assert drawn[0] == drawn[2] != drawn[1]
    # Without an E-step each step has its own, from 0.
    online = dict(type='MixturePrototypes', init_samples=6, eta=0.9)
    model = MODELS.build(model_cfg('PCL', prototypes=online))
    model.prototypes.seed_run(7)
    for count in (1, 4):
        model.encoder_k._count = count
        seed = derive_seed(model.prototypes.run_seed, count - 1)
        assert model._draws().initial_seed() == seed


def test_negatives_without_a_seed_are_refused_on_several_ranks(monkeypatch):
    from pauc_mm.models.heads import proto_nce_head

    monkeypatch.setattr(proto_nce_head, 'get_world_size', lambda: 2)
    head = proto_nce_head.ProtoNCEHead(num_negatives=2)
    with pytest.raises(ValueError, match='generator is None on 2 processes'):
        head.loss(torch.eye(2), None, torch.zeros(1, 2, dtype=torch.int64))
