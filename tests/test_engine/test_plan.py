# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import copy
import functools
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS, MODELS
from torch import nn

from pauc_mm.engine.hooks import clustering_hook
from pauc_mm.engine.plan import costs, planning, speeds
from pauc_mm.engine.plan.training import Images, Training
from tests.helpers import assert_same, model_cfg, run_cfg
from tests.test_configs.recipes import RECIPES, load

IN1K = 1281167
SPEEDS = speeds.Speeds(1e13, 2e13, 4e12, 50.0, 100.0, None)


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpretrain')


class Network(nn.Module):
    """A convolution and a linear layer, whose costs are known."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.neck = nn.Sequential(nn.Flatten(), nn.Linear(8 * 4 * 4, 5))


def test_a_network_is_counted_by_hand():
    # 27 products for each of 8 x 16 outputs, and 128 for each of 5.
    flops = 2 * 27 * 8 * 16 + 2 * 128 * 5
    # The gradients of the weights need the image and the maps.
    kept = 4 * 3 * 16 + 4 * 8 * 16
    assert costs.forward_pass(Network(), (3, 4, 4)) == (flops, kept)


@pytest.mark.parametrize(
    'name', ['mocov2', 'pauc', 'cld', 'byol', 'simclr', 'swav', 'carp']
)
def test_each_encoder_sees_as_many_views_as_it_does(name, tmp_path):
    """Counted in a real step of two images."""
    cfg = load(f'{name}_tiny_digits')
    if name == 'cld':
        cfg.model.update(num_clusters=2)
    model = build(cfg)
    views = 3 if name == 'cld' else 2
    seen = [0, 0]
    twin = getattr(model, 'encoder_k', getattr(model, 'target_net', None))
    for i, part in enumerate((model.backbone, twin and twin.module[0])):
        if part is not None:
            part.register_forward_pre_hook(
                lambda _, x, i=i: seen.__setitem__(i, seen[i] + len(x[0]))
            )
    hub = planning_hub(name)
    hub.update_info('max_iters', 10)
    hub.update_info('iter', 0)
    images = [torch.randn(4, 3, 16, 16) for _ in range(views)]
    samples = [SimpleNamespace(sample_idx=i) for i in range(4)]
    model.train()(images, samples, mode='loss')
    assert costs.network_passes(model, views) == (seen[0] / 4, seen[1] / 4)


def planning_hub(name):
    from mmengine.logging import MessageHub

    return MessageHub.get_instance(f'test_plan_{name}')


def build(cfg):
    data = cfg.get('data_preprocessor')
    return MODELS.build({'data_preprocessor': data, **cfg.model})


@pytest.mark.parametrize(
    'optimizer',
    [
        dict(type='SGD', lr=0.1),
        dict(type='SGD', lr=0.1, momentum=0.9),
        dict(type='AdamW', lr=0.1),
        dict(type='LARS', lr=0.1, momentum=0.9),
    ],
)
def test_bytes_are_those_of_a_real_step(optimizer):
    model = MODELS.build(model_cfg())
    wrapper = build_optim_wrapper(model, dict(optimizer=optimizer))
    for part in model.parameters():
        if part.requires_grad:
            part.grad = torch.ones_like(part)
    wrapper.step()
    state = sum(
        value.nbytes
        for values in wrapper.optimizer.state.values()
        for value in values.values()
        if torch.is_tensor(value) and value.shape
    )
    sizes = costs.model_bytes(model, optimizer)
    assert sizes['optimizer'] == state
    assert sizes['weights'] == sum(
        p.nbytes for p in model.parameters() if p.requires_grad
    )
    del sizes['optimizer']
    everything = (*model.parameters(), *model.buffers())
    assert sum(sizes.values()) == sum(part.nbytes for part in everything)


@functools.cache
def counted(name, view):
    """A recipe's model and the pass of an image."""
    model = build(load(name))
    return model, costs.forward_pass(model, view)


def in1k(images=IN1K, ranks=8, kind='ShardedKMeans', changes=()):
    """Plan of the recipe for ImageNet-1k, with the papers' E-step."""
    cfg, view = load('pauc_r50_8xb32_in1k'), (3, 224, 224)
    cfg.default_hooks.clustering.interval = 1
    cfg.default_hooks.clustering.kmeans.warm_start = False
    cfg.merge_from_dict(dict(changes))
    model, each = counted('pauc_r50_8xb32_in1k', view)
    passes = {view: each, None: each}
    cfg.default_hooks.clustering.kmeans.type = kind
    hook = HOOKS.build(cfg.default_hooks.clustering)
    training = Training(
        cfg, model, hook, hook.kmeans, ranks, [view] * 2, passes, SPEEDS
    )
    return training.plan(Images(images, images))


def test_the_recipe_of_imagenet():
    plan = in1k()
    assert plan['size'] == dict(
        images=IN1K,
        images_a_step=256,
        steps_an_epoch=5004,  # 160,146 images a rank // 32
        steps=1_000_800,
        clusters=[25000, 50000, 100000],
        number_of_e_steps=180,
    )
    # ResNet-50 without its classifier, and 2048 x 128 weights and 128 biases.
    weights = 4 * (23_508_032 + 2048 * 128 + 128)
    memory = {k.removesuffix('_bytes'): v for k, v in plan['memory'].items()}
    assert memory == dict(
        weights=weights,
        gradients=weights,
        optimizer=weights,  # momentum of SGD
        momentum_encoder=weights,
        queue=4 * 128 * 16384,
        # Means and variances of 26,560 channels and 53 counters, twice; the
        # pointer of the queue; two counters.
        buffers=memory['buffers'],
        activations=32 * 86_015_744,
        prototypes=4 * 175_000 * (128 + 1),
        assignments=8 * 3 * IN1K,
        embeddings=4 * 128 * 160_146,
        # Centroids, their sums and those of the best run; 512 MiB scratch.
        kmeans=3 * 4 * 100_000 * 128 + 2**29,
    )
    assert memory['buffers'] == pytest.approx(2 * (8 * 26_560 + 8 * 53), 0.01)
    # 4.09e9 multiply-adds: ResNet-50's 4,087,136,256 and the projection.
    forward = 2 * (4_087_136_256 + 2048 * 128)
    epoch, e_step, run = plan['epoch'], plan['e_step'], plan['run']
    # The query forward and backward, and the key.
    assert epoch['training_flops'] == 5004 * 32 * 4 * forward
    assert epoch['training_seconds'] == epoch['training_flops'] / 1e13
    # 64 workers with 50 images a second each.
    assert epoch['loading_seconds'] == pytest.approx(IN1K / 50 / 64)
    assert epoch['total_seconds'] == epoch['training_seconds']
    assert e_step['embedding_flops'] == 160_146 * forward
    # 5 runs of 20 iterations and the assignment at the end.
    assert e_step['kmeans_flops'] == 2 * 128 * 175_000 * IN1K * 101 / 8
    assert e_step['kmeans_seconds'] == e_step['kmeans_flops'] / 4e12
    # 100 times 175,000 x 129 numbers, 7 of 8 parts twice.
    assert e_step['all_reduce_bytes'] == 100 * 4 * 175_000 * 129 * 2 * 7 / 8
    seconds = e_step['kmeans_seconds'] + max(
        e_step['embedding_flops'] / 2e13, IN1K / 100 / 64
    )
    assert e_step['total_seconds'] == pytest.approx(seconds)
    assert run['e_steps_seconds'] == pytest.approx(180 * seconds)
    assert run['epochs_seconds'] == 200 * epoch['total_seconds']
    assert (
        run['checkpoint_bytes']
        == (*(3 * weights + memory['queue'] + memory['buffers'],),)[0]
        + memory['prototypes']
        + 4 * 3 * IN1K
    )


def test_the_options_of_the_e_step():
    clustering = 'default_hooks.clustering.'
    plan = in1k(
        changes={
            f'{clustering}interval': 4,
            f'{clustering}features': 'momentum_bank',
            f'{clustering}kmeans.warm_start': True,
            f'{clustering}kmeans.max_points_per_centroid': 10,
        },
        kind='FaissKMeans',
    )
    e_step, run = plan['e_step'], plan['run']
    assert 'embedding_seconds' not in e_step
    # The rank with K = 100,000; 1e6 images in an iteration, all at the end.
    first = 2 * 128 * 100_000 * (1e6 * 100 + IN1K)
    usual = 2 * 128 * 100_000 * (1e6 * 5 + IN1K)
    assert e_step['first_kmeans_flops'] == first
    assert e_step['kmeans_flops'] == usual
    assert 'all_reduce_bytes' not in e_step
    assert plan['memory']['embeddings_bytes'] == 4 * 128 * IN1K
    assert plan['memory']['momentum_bank_bytes'] == 160_146 * (4 * 128 + 8)
    assert plan['size']['number_of_e_steps'] == 45  # of 180 epochs
    assert run['e_steps_seconds'] == pytest.approx((first + 44 * usual) / 4e12)
    share = usual / 4e12 / 4 / plan['epoch']['total_seconds']
    assert e_step['part_of_epoch_share'] == pytest.approx(share)


@pytest.mark.parametrize(
    'options, match',
    [
        (dict(images=99_999), 'model.num_clusters.*99999'),
        (dict(images=31 * 8), 'train_dataloader.batch_size=32'),
        (
            dict(changes={'train_dataloader.batch_size': 0}),
            'train_dataloader.batch_size',
        ),
    ],
)
def test_what_cannot_be_planned(options, match):
    with pytest.raises(ValueError, match=match):
        in1k(**options)


def test_units():
    for key, value, text in (
        ('a_bytes', 3 * 2**30, '3 GiB'),
        ('a_bytes', 1000 * 2**20, '1,000 MiB'),
        ('a_seconds', 5400, '90 min'),
        ('a_seconds', 0.5, '0.5 s'),
        ('a_flops', 3.3e15, '3.3 PFLOP'),
        ('a_share', 0.123, '12.3 %'),
        ('steps', 1000800, '1,000,800'),
        ('clusters', [25000, 50], '25,000, 50'),
    ):
        assert planning.readable(key, value) == text


def state(runner):
    """All that a plan could disturb."""
    modules = runner.model.modules()
    return dict(
        weights=copy.deepcopy(runner.model.state_dict()),
        torch=torch.random.get_rng_state(),
        numpy=torch.tensor(np.random.get_state()[1].astype(np.int64)),
        python=random.getstate(),
        modes=[module.training for module in modules],
    )


def test_a_real_run_takes_what_was_planned(tmp_path, monkeypatch):
    """Steps, memory and the checkpoint; and it is left as it was."""
    plans, plan_training = [], planning.plan_training

    def planned(*args):
        result = plan_training(*args)
        plans.extend(result[0])
        return result

    def logged(runner, hook):
        before = state(runner)
        planning.log_plan(runner, hook)
        assert_same(before, state(runner))

    monkeypatch.setattr(planning, 'plan_training', planned)
    monkeypatch.setattr(clustering_hook, 'log_plan', logged)
    runner = Runner.from_cfg(run_cfg(tmp_path, max_epochs=2))
    runner.train()
    (plan,) = plans
    memory, prototypes = plan['memory'], runner.model.prototypes
    assert plan['size']['steps_an_epoch'] == len(runner.train_dataloader)
    assert plan['size']['steps'] == runner.iter
    made = prototypes.vectors().nbytes + prototypes.concentrations().nbytes
    assert memory['prototypes_bytes'] == made
    assert memory['assignments_bytes'] == prototypes.assignments.nbytes
    kept = runner.optim_wrapper.optimizer.state.values()
    momenta = sum(values['momentum_buffer'].nbytes for values in kept)
    assert memory['optimizer_bytes'] == momenta
    size = (tmp_path / 'epoch_2.pth').stat().st_size
    saved = plan['run']['checkpoint_bytes']
    assert saved < size < saved + 150_000  # config, names, log


@pytest.mark.slow
@pytest.mark.parametrize('name', RECIPES)
def test_every_recipe_has_a_plan(name):
    cfg, view = load(name), (3, 32, 32)
    model, each = counted(name, view)
    hook = cfg.default_hooks.get('clustering')
    passes = {view: each, None: each}
    hook = hook and HOOKS.build(hook)
    kmeans = getattr(hook, 'kmeans', None)
    training = Training(
        cfg, model, hook, kmeans, 2, [view] * 3, passes, SPEEDS
    )
    plan = training.plan(Images(IN1K, IN1K))
    assert ('e_step' in plan) == (hook is not None)
    lines = planning.as_lines(plan)
    assert len(lines) == len(plan)
    rows = planning.as_table([plan, plan]).splitlines()
    assert len(rows) == 2 + sum(map(len, plan.values()))
