# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import copy
import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_rank, get_world_size
from mmengine.logging import MessageHub
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from torch import nn

from pauc_mm.clustering import OnlineGaussianMixture
from pauc_mm.clustering.deferred_flag import DeferredFlag
from pauc_mm.evaluation.collapse import has_prototypes, prototype_sets
from pauc_mm.models import (
    CARPHead,
    CosineMomentumEncoder,
    MixturePrototypes,
)
from pauc_mm.models.losses import koleo
from pauc_mm.models.losses.partition import (
    assignment_consistency,
    block_assignments,
    divergence_from_uniform,
    random_partition,
)
from pauc_mm.utils import derive_seed
from tests.helpers import (
    advance,
    apart,
    images_batch,
    model_cfg,
    run_cfg,
    run_ranks,
)
from tests.test_models.test_step_never_waits import RefuseToWait

K, BLOCK, DIM = 12, 4, 8
KOLEO = dict(koleo_loss=dict(type='KoLeoLoss', loss_weight=0.5))
MIXTURE = dict(type='MixturePrototypes', init_samples=16, eta=0.9)
BEFORE = dict(MIXTURE, update='before')
KINDS = [dict(type='LearnedPrototypes'), MIXTURE]


@pytest.fixture(autouse=True)
def step_3_of_10():
    tell_step(3, 10)


def tell_step(step, steps=10):
    hub = MessageHub.get_instance('test_carp')
    hub.update_info('iter', step)
    hub.update_info('max_iters', steps)


def carp_cfg(**changes):
    cfg = dict(
        type='CARP',
        feat_dim=DIM,
        backbone=dict(type='TinyConvNet', channels=(8, 16), strides=(1, 2)),
        neck=dict(
            type='CARPNeck', in_channels=16, hid_channels=16, out_channels=DIM
        ),
        head=dict(type='CARPHead', num_prototypes=K, partition_size=BLOCK),
        data_preprocessor=dict(
            type='SelfSupDataPreprocessor',
            mean=[127.5] * 3,
            std=[127.5] * 3,
        ),
    )
    cfg.update(copy.deepcopy(changes))
    return cfg


def build(seed=0, **changes):
    torch.manual_seed(seed)
    model = MODELS.build(carp_cfg(**changes))
    for layer in model.neck.mlp:  # so that assignments are not all alike
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight)
    return model


def prepared(model, batch):
    return model.data_preprocessor(batch, training=True)


def total(losses):
    return sum(v for name, v in losses.items() if 'loss' in name)


# ---- the equations ---------------------------------------------------------
def random_logits(views, seed=0, samples=5):
    generator = torch.Generator().manual_seed(seed)
    shape = (views, samples, K)
    return 3 * torch.randn(shape, generator=generator, dtype=torch.float64)


def slow_carp(students, teachers, order, block):
    """Both terms with probabilities and loops, from logits (N, K)."""

    def probabilities(logits):
        blocks = [
            [int(k) for k in order[i : i + block]]
            for i in range(0, len(order), block)
        ]
        return [
            [torch.softmax(row[ids], dim=0) for ids in blocks]
            for row in logits
        ]

    s = [probabilities(view) for view in students]
    t = [probabilities(view) for view in teachers]
    values = [
        -math.log(sum(float(a * b) for a, b in zip(p, q)))
        for i, view in enumerate(s)
        for j, other in enumerate(t)
        if i != j
        for row, other_row in zip(view, other)
        for p, q in zip(row, other_row)
    ]
    consistency = sum(values) / len(values)
    uniform, number = 0.0, len(order) // block
    for b in range(number):
        rows = [row[b] for view in (*s, *t) for row in view]
        mean = sum(rows) / len(rows)
        uniform += sum(float(p) * math.log(float(p) * block) for p in mean)
    return consistency, uniform / number


def test_equations_agree_with_loops():
    logits = random_logits(5)
    order = random_partition(K, 1)
    students = [block_assignments(x[:, order], BLOCK) for x in logits[:3]]
    teachers = [block_assignments(x[:, order], BLOCK) for x in logits[3:]]
    consistency, uniform = slow_carp(logits[:3], logits[3:], order, BLOCK)
    got = assignment_consistency(students, teachers).item()
    assert got == pytest.approx(consistency, rel=1e-12)
    got = divergence_from_uniform([*students, *teachers]).item()
    assert got == pytest.approx(uniform, rel=1e-12)


def test_values_in_closed_form():
    uniform = [torch.zeros(6, 3, BLOCK).log_softmax(dim=2)] * 2
    assert assignment_consistency(uniform, uniform).item() == pytest.approx(
        math.log(BLOCK), rel=1e-6
    )
    assert divergence_from_uniform(uniform).item() == pytest.approx(
        0, abs=1e-6
    )
    certain = torch.full((6, 3, BLOCK), -torch.inf)
    certain[..., 1] = 0
    certain = [certain, certain]
    assert assignment_consistency(certain, certain).item() == 0
    assert divergence_from_uniform(certain).item() == pytest.approx(
        math.log(BLOCK), rel=1e-6
    )
    rare = 1e-6  # what is as good as never assigned counts as it is
    view = torch.tensor([[[1 - rare, rare]]], dtype=torch.float64).log()
    want = sum(p * math.log(p) for p in (1 - rare, rare)) + math.log(2)
    assert divergence_from_uniform([view]).item() == pytest.approx(want, 1e-9)


def test_the_divergence_is_of_all_ranks_and_has_its_gradient(monkeypatch):
    one, other = torch.randn(2, 5, 3, BLOCK, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x: divergence_from_uniform([x.log_softmax(dim=2)]),
        one.clone().requires_grad_(),
    )
    one, other = one.log_softmax(dim=2), other.log_softmax(dim=2)
    want = divergence_from_uniform([one, other])
    mean = other.exp().mean(dim=0)[None]  # of the other rank
    monkeypatch.setattr(
        f'{divergence_from_uniform.__module__}.gather_with_grad',
        lambda own: torch.cat([own, mean]),
    )
    torch.testing.assert_close(divergence_from_uniform([one]), want)


def test_certain_and_contrary_assignments_keep_their_gradient():
    # With probabilities in float32 <p, p'> is 0 here, and clamped its
    # gradient is 0 too: the embeddings that are most wrong learn nothing.
    logits = torch.tensor([[[200.0, 0, 0, 0]]], requires_grad=True)
    other = torch.tensor([[[0.0, 200, 0, 0]]]).log_softmax(dim=2)
    view = logits.log_softmax(dim=2)
    loss = assignment_consistency([view, view], [other])
    assert loss.item() == pytest.approx(200 - math.log(2), rel=1e-5)
    loss.backward()
    assert logits.grad.abs().max() > 0.1


def test_partitions():
    orders = [random_partition(100, seed) for seed in (1, 1, 2)]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])
    assert torch.equal(orders[2].sort().values, torch.arange(100))


# ---- the model -------------------------------------------------------------
@pytest.mark.parametrize('prototypes', KINDS)
def test_a_step_is_the_equations_on_the_embeddings(prototypes):
    model = build(prototypes=prototypes)
    decouple = prototypes is MIXTURE
    if decouple:
        model.prototypes.learn(F.normalize(torch.randn(20, DIM), dim=1))
        assert model.prototypes.ready
    apart(model)
    data = prepared(model, images_batch(num=6))
    before = copy.deepcopy(model)
    losses = model.loss(**data)
    views = data['inputs']
    advance(before)
    with torch.no_grad():
        z = before.neck(before.backbone(torch.cat(views)))[0]
        h = before.encoder_k(torch.cat(views))[0]
        if decouple:
            weight = target = before.prototypes.mixtures[0].means
        else:
            weight = before.prototypes.weight
            target = before.prototypes_k.module.weight
        vectors, targets = (F.normalize(x, dim=1) for x in (weight, target))
    order = random_partition(K, derive_seed(0, 3))
    consistency, uniform = slow_carp(
        (z @ vectors.T).double().chunk(2),
        (h @ targets.T).double().chunk(2),
        order,
        BLOCK,
    )
    assert losses['loss_consistency'].item() == pytest.approx(
        consistency, rel=1e-4
    )
    assert losses['loss_uniform'].item() == pytest.approx(uniform, rel=1e-4)
    blocks = [
        (x @ v.T)[:, order].unflatten(1, (-1, BLOCK)).argmax(dim=2)
        for x, v in ((z[:6], vectors), (h[6:], targets))
    ]
    assert losses['acc_block'] == (blocks[0] == blocks[1]).float().mean()
    total(losses).backward()
    got = {n for n, p in model.named_parameters() if p.grad is not None}
    wanted = {n for n, _ in model.named_parameters() if '_k.' not in n}
    assert got == wanted
    assert ('prototypes.weight' in got) is not decouple


def test_local_views_are_seen_by_the_student_alone():
    model = build()
    data = prepared(model, images_batch(num=6))
    seen = []
    model.encoder_k.module.register_forward_hook(
        lambda module, args, out: seen.append(args[0])
    )
    model.backbone.out_indices = (0, 1)  # the last stage counts
    local = [torch.randn(6, 3, 4, 4) for _ in range(3)]
    data['inputs'] = [*data['inputs'], *local]
    rows = []
    model.neck.mlp.register_forward_hook(
        lambda module, args, out: rows.append(len(args[0]))
    )
    assert {len(z) for z in model._embed(data['inputs'])} == {6}
    assert rows == [5 * 6]  # BatchNorm sees all views
    given, loss = [], model.head.loss
    model.head.loss = lambda *args: (given.extend(args), loss(*args))[1]
    model.loss(**data)
    assert (len(given[0]), len(given[1])) == (5, 2)
    assert torch.equal(seen[0], torch.cat(data['inputs'][:2]))
    # The order of views is kept, and each has its own embedding.
    model.eval()
    each = [model.neck(model.backbone(view))[0] for view in data['inputs']]
    together = model._embed(data['inputs'])
    for one, other in zip(each, together):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('update', ['before', 'after'])
def test_the_mixture_learns_from_the_teacher_in_this_order(update):
    model = apart(build(prototypes=dict(MIXTURE, update=update)))
    twin = OnlineGaussianMixture(K, DIM, init_samples=16, eta=0.9)
    start = model.prototypes.vectors()
    for step in range(4):
        tell_step(step)
        data = prepared(model, images_batch(seed=step))
        vectors = model.prototypes.vectors()
        used = []
        original = model.head.loss
        model.head.loss = lambda *a, o=original, u=used: (u.extend(a), o(*a))[
            1
        ]
        total(model.loss(**data)).backward()
        model.head.loss = original
        teachers = torch.cat(used[1])
        assert not teachers.requires_grad and used[3] is used[2]
        twin.update(F.normalize(teachers, dim=1))
        if not twin.ready:
            assert torch.equal(vectors, start)
        elif update == 'before':
            vectors = F.normalize(twin.means, dim=1)
        torch.testing.assert_close(used[2], vectors)
    assert twin.ready and twin.steps > 0
    torch.testing.assert_close(model.prototypes.mixtures[0].means, twin.means)


def test_koleo_is_a_term_of_joint_carp():
    alone, model = build(), build(head=dict(carp_cfg()['head'], **KOLEO))
    data = prepared(model, images_batch(num=6))
    without, losses = alone.loss(**data), model.loss(**data)
    term = losses.pop('loss_koleo')
    assert losses == without
    wanted = 0.5 * koleo(model.prototypes.vectors())
    assert term.item() == pytest.approx(wanted.item())
    (gradient,) = torch.autograd.grad(term, model.prototypes.weight)
    assert (gradient.norm(dim=1) > 0).all()


def test_before_it_begins_directions_are_random_and_unit():
    vectors = MixturePrototypes([64], 16).vectors()
    lengths = vectors.norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(64))
    assert (vectors @ vectors.T).fill_diagonal_(0).abs().max() < 0.95


def test_what_is_drawn_depends_on_the_seed_of_the_run():
    orders, vectors = [], []
    tell_step(3, 200)
    for seed in (0, 1, 1):
        model = build(prototypes=dict(type='MixturePrototypes'))
        for module in model.modules():
            if hasattr(module, 'seed_run'):
                module.seed_run(seed)
        orders.append(model.head._draw_order(torch.device('cpu')))
        vectors.append(model.prototypes.vectors())
    for found in (orders, vectors):
        assert not torch.equal(found[0], found[1])
        assert torch.equal(found[1], found[2])
    # Those of a checkpoint stay, whatever the seed.
    model.load_state_dict(model.state_dict())
    model.prototypes.seed_run(5)
    assert torch.equal(model.prototypes.vectors(), vectors[2])


def test_the_teacher_follows_by_half_a_cosine():
    linear = nn.Linear(1, 1, bias=False)
    teacher = CosineMomentumEncoder(linear, 0.01)
    tell_step(0, 200)
    teacher.update_parameters(linear)  # takes the weights over
    steps = {0: 0.01, 50: 0.0085355339, 100: 0.005, 200: 0.0}
    for step, wanted in steps.items():
        tell_step(step, 200)
        with torch.no_grad():
            linear.weight.fill_(1.0)
            teacher.module.weight.fill_(0.0)
        teacher.update_parameters(linear)
        assert teacher.module.weight.item() == pytest.approx(wanted, abs=1e-9)


def test_nothing_waits_for_the_device(monkeypatch):
    monkeypatch.setattr(DeferredFlag, 'raised', lambda self: False)
    model = build()
    data = prepared(model, images_batch())

    def step():
        total(model.loss(**data)).backward()

    step()
    with RefuseToWait():
        step()


def test_under_autocast_the_loss_is_float32():
    model = build()
    data = prepared(model, images_batch())
    seen = []

    def noting(function):
        def call(*args):
            assert not torch.is_autocast_enabled('cpu')
            for given in args:
                seen.extend([given] if torch.is_tensor(given) else given)
            return function(*args)

        return call

    model.head.loss = noting(model.head.loss)
    model.prototypes.learn = noting(model.prototypes.learn)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = model.loss(**data)
    assert len(seen) == 7  # two views twice, prototypes twice, the teacher's
    for value in [*seen, *losses.values()]:
        assert value.dtype == torch.float32


def test_the_collapse_monitor_sees_the_prototypes():
    for model in (build(), build(prototypes=dict(type='MixturePrototypes'))):
        assert has_prototypes(model)
        (only,) = prototype_sets(model)
        assert only.vectors.shape == (K, DIM)
        assert not only.vectors.requires_grad and only.assignments is None
    for training in (True, False):
        assert build().train(training).prototypes.ready


# ---- several processes, and interruptions ----------------------------------
def losses_and_gradients(prototypes):
    tell_step(3)
    model = build(
        prototypes=prototypes
    ).eval()  # without BatchNorm's batch statistics
    decouple = 'eta' in prototypes
    if decouple:
        generator = torch.Generator().manual_seed(1)
        start = torch.randn(16, DIM, generator=generator)
        model.prototypes.mixtures[0].initialise(F.normalize(start, dim=1))
    batch = images_batch(12)
    share = 12 // get_world_size()
    part = slice(get_rank() * share, (get_rank() + 1) * share)
    batch = dict(
        inputs=[view[part] for view in batch['inputs']],
        data_samples=batch['data_samples'][part],
    )
    losses = model.loss(**prepared(model, batch))
    total(losses).backward()
    values = {n: v.detach().clone() for n, v in losses.items()}
    gradients = {
        n: p.grad for n, p in model.named_parameters() if p.grad is not None
    }
    for tensor in [*values.values(), *gradients.values()]:
        all_reduce(tensor, op='mean')  # as DistributedDataParallel does
    means = model.prototypes.mixtures[0].means if decouple else None
    return values, gradients, means


@pytest.mark.slow
@pytest.mark.parametrize('prototypes', [*KINDS, BEFORE])
def test_same_for_one_and_two_ranks(tmp_path, prototypes):
    values, gradients, means = losses_and_gradients(prototypes)
    for others in run_ranks(losses_and_gradients, 2, tmp_path, prototypes):
        for name, value in values.items():
            torch.testing.assert_close(
                others[0][name], value, rtol=1e-5, atol=1e-5
            )
        for name, gradient in gradients.items():
            torch.testing.assert_close(
                others[1][name], gradient, rtol=1e-4, atol=1e-5
            )
        if means is not None:
            torch.testing.assert_close(others[2], means, rtol=0, atol=1e-5)


def run(folder, prototypes, epochs, resume=False):
    cfg = run_cfg(folder, max_epochs=4)
    cfg.model = carp_cfg(prototypes=prototypes)
    cfg.default_hooks.pop('clustering')
    runner = Runner.from_cfg(cfg)
    if resume:
        runner._resume = True
    stop = runner.train_loop.run_epoch

    def run_epoch():
        if runner.epoch == epochs:
            raise KeyboardInterrupt
        stop()

    runner.train_loop.run_epoch = run_epoch
    try:
        runner.train()
    except KeyboardInterrupt:
        pass
    return runner.model.state_dict()


@pytest.mark.slow
@pytest.mark.parametrize('mixture', [MIXTURE, BEFORE])
def test_a_mixture_without_a_number_resumes(tmp_path, mixture):
    """Checkpoints had prototypes.mixture, before there were several."""
    whole = run(tmp_path / 'a', mixture, epochs=4)
    run(tmp_path / 'b', mixture, epochs=2)
    path = tmp_path / 'b' / 'epoch_2.pth'
    checkpoint = torch.load(path, weights_only=True)
    state = checkpoint['state_dict']
    del state['prototypes.steps']
    for name in [n for n in state if 'mixtures.0' in n]:
        state[name.replace('mixtures.0', 'mixture')] = state.pop(name)
    torch.save(checkpoint, path)
    resumed = run(tmp_path / 'b', mixture, epochs=4, resume=True)
    assert whole.keys() == resumed.keys()
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_a_mixture_without_a_number_is_renamed():
    model = build(prototypes=MIXTURE)
    model.encoder_k.steps.fill_(7)
    want = model.state_dict()
    state = dict(want)
    del state['prototypes.steps']
    for name in [n for n in state if 'mixtures.0' in n]:
        state[name.replace('mixtures.0', 'mixture')] = state.pop(name)
    model.upgrade_state_dict(state)
    assert state.pop('prototypes.steps') == 7
    assert state.keys() == want.keys() - {'prototypes.steps'}
    for name, value in state.items():
        assert value is want[name]
    new = dict(want)  # and one of today stays as it is
    model.upgrade_state_dict(new)
    assert new == want


# ---- wrong input -----------------------------------------------------------
@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(partition_size=5), 'partition_size=5 does not divide .*4 does'),
        (dict(num_prototypes=7, partition_size=5), 'size=5 .*7 does'),
        (dict(partition_size=1), 'partition_size must be an integer >= 2'),
        (dict(num_prototypes=8.0), 'num_prototypes must be an integer'),
        (dict(consistency_weight=0), 'consistency_weight must be a positive'),
        (dict(uniform_weight=-1), 'uniform_weight must be a number >= 0'),
    ],
)
def test_the_head_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        CARPHead(**{'num_prototypes': 12, 'partition_size': 4, **changes})


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(momentum=1.0), r'model.momentum must be in \(0, 1\)'),
        (dict(momentum=0), r'model.momentum must be in \(0, 1\)'),
        (dict(prototypes=dict(MIXTURE, eta=1.5)), 'model.prototypes.*eta'),
        (
            dict(prototypes=dict(MIXTURE, init_samples=K - 1)),
            'model.prototypes.init_samples .* >= 12, got 11',
        ),
        (dict(prototypes=dict(MIXTURE, dim=2)), 'model.prototypes.dim'),
        (
            dict(prototypes=dict(MIXTURE, update='now')),
            "model.prototypes.update .* 'before', 'after', got 'now'",
        ),
        (
            dict(prototypes=MIXTURE, head=dict(carp_cfg()['head'], **KOLEO)),
            'model.head.koleo_loss .*MixturePrototypes',
        ),
        (dict(prototypes=dict(type='KMeansPrototypes')), 'KMeansPrototypes'),
        *(
            (
                dict(neck=dict(type='CARPNeck', in_channels=16) | {key: 0}),
                f'model.neck.{key} must be an integer >= {least}, got 0',
            )
            for key, least in dict(
                in_channels=1, hid_channels=1, out_channels=1, num_layers=2
            ).items()
        ),
    ],
)
def test_the_model_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(carp_cfg(**changes))


@pytest.mark.parametrize('kind', ['CARP', 'PAUC'])
@pytest.mark.parametrize('option', ['decouple', 'mixture'])
def test_replaced_options_name_the_new_one(kind, option):
    cfg = carp_cfg() if kind == 'CARP' else model_cfg(kind)
    with pytest.raises(TypeError, match=rf'model.{option}=.*model.prototypes'):
        MODELS.build(dict(cfg, **{option: dict(eta=0.9)}))
    MODELS.build(dict(cfg, **{option: False}))  # as it was by default


def test_refuses_wrong_batches():
    model = build()
    data = prepared(model, images_batch())
    for views in (
        data['inputs'][:1],
        data['inputs'][0],
        [data['inputs'][0], data['inputs'][1][..., :4]],
    ):
        with pytest.raises(ValueError, match='two global views'):
            model.loss(views, data['data_samples'])
    one = [view[:1] for view in data['inputs']]
    with pytest.raises(ValueError, match='batch of one image'):
        model.loss(one, data['data_samples'][:1])


@pytest.mark.parametrize('prototypes', KINDS)
def test_refuses_what_is_not_finite(prototypes):
    model = build(prototypes=prototypes)
    data = prepared(model, images_batch())
    data['inputs'][1][0, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match='CARP is not finite.*lr'):
        model.loss(**data)


@pytest.mark.parametrize('term', ['loss_consistency', 'loss_uniform', None])
def test_refuses_a_term_that_is_not_finite(monkeypatch, term):
    model = build()
    loss, wrong = model.head.loss, {term: torch.tensor(torch.inf)}
    if term:
        model.head.loss = lambda *args: loss(*args) | wrong
    else:  # but that of another rank
        monkeypatch.setattr(
            'pauc_mm.models.carp.all_reduce', lambda flag: flag.add_(1)
        )
    with pytest.raises(ValueError, match='CARP is not finite.*lr'):
        model.loss(**prepared(model, images_batch()))


def test_the_defaults_are_those_of_the_paper():
    head = CARPHead()
    assert (head.num_prototypes, head.partition_size) == (65536, 512)
    assert (head.consistency_weight, head.uniform_weight) == (1, 1)
    assert CARPHead(uniform_weight=0).uniform_weight == 0  # an ablation
    cfg = carp_cfg(neck=dict(type='CARPNeck', in_channels=16))
    del cfg['feat_dim']
    model = MODELS.build(cfg)
    assert model.encoder_k.first_momentum == 0.01
    assert model.prototypes.weight.shape == (K, 256)
    shapes = [
        tuple(layer.weight.shape) if isinstance(layer, nn.Linear) else layer
        for layer in model.neck.mlp
    ]
    hidden = shapes[1:3]
    assert [type(layer) for layer in hidden] == [nn.BatchNorm1d, nn.GELU]
    assert shapes[::3] == [(2048, 16), (2048, 2048), (256, 2048)]
    assert [type(layer) for layer in shapes[4:6]] == [type(x) for x in hidden]


@pytest.mark.parametrize('own, std', [(None, 0.02), (0.5, 0.5)])
def test_the_neck_begins_with_the_normals_of_the_official_code(own, std):
    cfg = dict(type='CARPNeck', in_channels=64, hid_channels=64, num_layers=2)
    if own:
        cfg['init_cfg'] = dict(type='Normal', layer='Linear', std=own)
    neck = MODELS.build(cfg)
    neck.init_weights()
    first, last = (x for x in neck.mlp if isinstance(x, nn.Linear))
    for layer in (first, last):
        assert layer.weight.std().item() == pytest.approx(std, rel=0.1)
        assert not layer.bias.any()


def test_a_mixture_that_would_never_begin(tmp_path):
    cfg = run_cfg(tmp_path, max_epochs=2)  # 6 steps of 2 x 16 embeddings
    cfg.model = carp_cfg(prototypes=dict(MIXTURE, init_samples=193))
    cfg.default_hooks.pop('clustering')
    cfg.default_hooks.setup_check = dict(type='SetupCheckHook')
    with pytest.raises(ValueError, match='begin after 7 steps .* has 6'):
        Runner.from_cfg(cfg).train()


def test_refuses_to_run_without_a_runner():
    MessageHub.get_instance('test_carp_empty')
    model = build()
    with pytest.raises(RuntimeError, match='no Runner trains'):
        model.loss(**prepared(model, images_batch()))
