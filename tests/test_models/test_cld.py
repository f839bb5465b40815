# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import copy
import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_rank, get_world_size
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch.utils.data import DataLoader

from pauc_mm.clustering import batch_kmeans
from pauc_mm.models.embed import embed_images
from pauc_mm.models.heads import ProtoNCEHead
from pauc_mm.models.necks.cld_neck import NormProduct
from pauc_mm.utils import derive_seed
from tests.helpers import (
    PLAIN,
    TWO_VIEWS,
    advance,
    apart,
    images_batch,
    loader_cfg,
    model_cfg,
    run_cfg,
    run_ranks,
)
from tests.test_models.test_step_never_waits import RefuseToWait

BATCH = 12
NECK = dict(type='CLDNeck', in_channels=16, hid_channels=16, out_channels=8)


def cld_cfg(**changes):
    cfg = model_cfg('CLD', num_clusters=4, neck=NECK)
    del cfg['proto_head']
    cfg.update(copy.deepcopy(changes))
    return cfg


def build(**changes):
    torch.manual_seed(0)
    return MODELS.build(cld_cfg(**changes))


def data_of(model, num=BATCH, views=3, seed=0):
    batch = images_batch(num, views=views, seed=seed)
    return model.data_preprocessor(batch, training=True)


def step(model, **options):
    return model(**data_of(model, **options), mode='loss')


def total_of(losses):
    return sum(v for k, v in losses.items() if 'loss' in k)


# ---- the equations by loops, in float64 ------------------------------------
def clusters_by_loops(points, start, iterations):
    points = points.detach()
    centroids = [points[i] for i in start]
    for _ in range(iterations):
        clusters = []
        for x in points:
            distances = [(x - c).pow(2).sum().item() for c in centroids]
            clusters.append(distances.index(min(distances)))
        for k in range(len(centroids)):
            members = [x for x, own in zip(points, clusters) if own == k]
            if members:
                centroids[k] = sum(members) / len(members)
    return clusters


def groups_by_loops(one, other, model, generator):
    """Samples of one view, clusters of the other: loss and accuracy."""
    start = torch.randperm(len(other), generator=generator)
    start = start[: model.num_clusters].tolist()
    clusters = clusters_by_loops(other, start, model.num_iters)
    if not model.centroid_grad:
        other = other.detach()
    centroids = {
        k: sum(x for x, own in zip(other, clusters) if own == k)
        / clusters.count(k)
        for k in set(clusters)
    }
    loss, hits = 0.0, 0
    for x, own in zip(one, clusters):
        scores = {
            k: torch.exp(x @ c / model.group_temperature)
            for k, c in centroids.items()
        }
        loss = loss - torch.log(scores[own] / sum(scores.values()))
        hits += max(scores, key=scores.get) == own
    return loss / len(one), hits / len(one)


def by_loops(model, inputs):
    """Losses of the second step."""
    advance(model)
    queue = model.queue.double()
    first, key, second = (x.double() for x in inputs)
    views = [model.neck(model.backbone(x)) for x in (first, second)]
    views.insert(1, model.encoder_k(key))
    (q1, g1), (k, _), (q2, g2) = (
        [F.normalize(branch, dim=1) for branch in view] for view in views
    )
    infonce, hits = 0.0, 0
    for q in (q1, q2):
        for a, b in zip(q, k.detach()):
            positive = torch.exp(a @ b / 0.1)
            negatives = torch.exp(a @ queue / 0.1).sum()
            hits += int(a @ b > (a @ queue).max())
            infonce = infonce - torch.log(positive / (positive + negatives))
    # Seeded by the momentum encoder's second step.
    generator = torch.Generator().manual_seed(derive_seed(0, 2))
    first, hits1 = groups_by_loops(g2, g1, model, generator)
    second, hits2 = groups_by_loops(g1, g2, model, generator)
    return dict(
        loss_infonce=infonce / (2 * len(q1)),
        loss_group=model.group_weight * (first + second) / 2,
        acc_group=torch.tensor((hits1 + hits2) / 2),
        acc_instance=torch.tensor(hits / (2 * len(q1))),
    )


@pytest.mark.parametrize(
    'changes',
    [
        dict(),
        dict(centroid_grad=False, num_iters=1),
        dict(num_clusters=9, num_iters=2, group_temperature=0.1),
        dict(neck={**NECK, 'norm_linear': False}, group_weight=3.0),
    ],
)
def test_losses_and_gradients_equal_the_loop(changes):
    model = apart(build(**changes), by=0.1)
    reference = copy.deepcopy(model).double()
    data = data_of(model)
    losses = model(**data, mode='loss')
    want = by_loops(reference, data['inputs'])
    assert set(losses) == set(want)
    for name, value in want.items():
        assert losses[name].item() == pytest.approx(value.item(), rel=1e-4)
    total_of(losses).backward()
    total_of(want).backward()
    theirs = dict(reference.named_parameters())
    for name, parameter in model.named_parameters():
        if name.startswith('encoder_k'):
            assert parameter.grad is None
            continue
        assert parameter.grad.any(), name
        torch.testing.assert_close(
            parameter.grad.double(), theirs[name].grad, rtol=1e-3, atol=1e-5
        )


def test_gradient_through_the_centroids_can_be_left_out():
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, BATCH, 8, generator=generator)
    one, other = (F.normalize(x, dim=1).requires_grad_() for x in (one, other))
    gradients = []
    for centroid_grad in (True, False):
        model = build(centroid_grad=centroid_grad)
        losses = model.group_losses(one, other)
        gradients += [torch.autograd.grad(losses['loss_group'], one)[0]]
    assert not torch.allclose(*gradients, rtol=0.1)
    more = F.normalize(torch.randn(2, 200, 8, generator=generator), dim=2)
    few, many = (
        build(num_iters=number).group_losses(*more)['loss_group']
        for number in (1, 5)
    )
    assert few != many


# ---- empty clusters and few samples ----------------------------------------
def test_empty_clusters_are_no_negatives():
    # Three different embeddings, four times each, and eight clusters.
    generator = torch.Generator().manual_seed(0)
    rows = F.normalize(torch.randn(3, 8, generator=generator), dim=1)
    groups = rows.repeat(4, 1)
    model = build(num_clusters=8)
    counts = batch_kmeans(groups, 8, 5, generator)[2]
    assert (counts > 0).sum() == 3
    losses = model.group_losses(groups, groups)
    # The centroids are the three embeddings; nothing else is in the sum.
    logits = rows @ rows.t() / model.group_temperature
    want = F.cross_entropy(logits, torch.arange(3)).item()
    assert losses['loss_group'].item() == pytest.approx(0.25 * want, rel=1e-5)
    assert losses['acc_group'] == 1
    # Zero vectors for the five others would add five times exp(0).
    padded = F.pad(logits, (0, 5))
    assert F.cross_entropy(padded, torch.arange(3)).item() > want + 0.1
    # Nor is one of them the nearest, however near it is.
    found = torch.arange(3), torch.cat([rows, 2 * rows]), torch.arange(6) < 3
    model._cluster = lambda *_: [found, found]
    assert model.group_losses(rows, rows)['acc_group'] == 1


def test_a_collapsed_batch_has_a_loss_of_zero_and_finite_gradients():
    groups = torch.ones(BATCH, 8).div(math.sqrt(8)).requires_grad_()
    losses = build().group_losses(groups, groups)
    losses['loss_group'].backward()
    assert losses['loss_group'].item() == pytest.approx(0, abs=1e-6)
    assert groups.grad.isfinite().all()


@pytest.mark.parametrize('num_clusters', [BATCH, 100])
def test_as_many_clusters_as_samples_are_refused(num_clusters):
    """Each sample would be a cluster of its own."""
    generator = torch.Generator().manual_seed(0)
    points = F.normalize(torch.randn(BATCH, 8, generator=generator), dim=1)
    alone = clusters_by_loops(points, range(BATCH), 5)
    assert alone == list(range(BATCH))  # no groups, whatever the images
    model = build(num_clusters=num_clusters)
    before = model.state_dict()
    with pytest.raises(
        ValueError,
        match=rf'num_clusters={num_clusters}.*{BATCH} images.*batch_size',
    ):
        step(model)
    assert model.encoder_k.steps == 0  # before anything has changed
    assert model.state_dict().keys() == before.keys()


def test_a_batch_of_one_is_refused():
    with pytest.raises(ValueError, match='num_clusters=2 needs a larger batc'):
        step(build(num_clusters=2), num=1)


def test_a_batch_longer_than_the_queue_is_refused():
    with pytest.raises(ValueError, match='model.queue_len=8'):
        step(build(queue_len=8))


def test_the_defaults_and_the_least_that_is_allowed():
    cfg = cld_cfg()
    del cfg['num_clusters']
    model = MODELS.build(cfg)
    assert (model.num_clusters, model.num_iters) == (120, 5)
    assert (model.group_temperature, model.group_weight) == (0.4, 0.25)
    assert model.centroid_grad is True
    # the official code's layers: rows of length 1
    assert isinstance(model.neck.group, NormProduct)
    norms = model.neck.group.weight.norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(8))
    least = build(num_iters=1, group_weight=0)
    assert (least.num_iters, least.group_weight) == (1, 0)
    narrow = dict(type='CLDNeck', in_channels=1, hid_channels=1)
    assert MODELS.build(dict(narrow, out_channels=1)).hidden.in_features == 1


@pytest.mark.parametrize(
    'build, queue_len',
    [(lambda: model_cfg('PCL'), 16384), (cld_cfg, 65536)],
)
def test_the_defaults_of_the_papers(build, queue_len):
    cfg = build()
    for name in ('queue_len', 'feat_dim', 'momentum'):
        del cfg[name]
    model = MODELS.build(cfg)
    assert model.queue.shape == (128, queue_len)
    assert model.encoder_k.momentum == 0.001
    assert MODELS.build(build()).encoder_k.momentum == 0.05
    for momentum in (0, 1):
        with pytest.raises(ValueError, match='model.momentum'):
            MODELS.build(dict(cfg, momentum=momentum))
    assert MODELS.build(dict(cfg, queue_len=1)).queue_len == 1
    head = ProtoNCEHead()
    assert (head.num_negatives, head.mask_same_cluster) == (16000, True)
    assert ProtoNCEHead(1).num_negatives == 1


def test_the_smallest_batch_of_all_processes_is_checked(monkeypatch):
    told = []
    monkeypatch.setattr(
        'pauc_mm.models.checks.print_log', lambda text, **_: told.append(text)
    )
    model = build()  # four clusters, and a queue of 64
    for size, world, drop_last, fits in (
        (12, 1, False, False),  # the last batch has 3 of 27 images
        (12, 1, True, True),
        (9, 1, False, True),
        (12, 2, False, True),
        (4, 1, True, False),
    ):
        loader = DataLoader(range(27), size, drop_last=drop_last)
        runner = SimpleNamespace(train_dataloader=loader)
        for name in ('cld', 'checks'):
            monkeypatch.setattr(
                f'pauc_mm.models.{name}.get_world_size', lambda w=world: w
            )
        if fits:
            model.check_setup(runner)
            # longer than the data
            assert 'model.queue_len=64 exceeds the 27' in told.pop()
        else:
            with pytest.raises(ValueError, match='model.num_clusters=4'):
                model.check_setup(runner)


@pytest.mark.parametrize('kind', ['CLDNeck', 'CARPNeck'])
def test_a_neck_projects_the_last_of_several_maps(kind):
    neck = MODELS.build(dict(NECK, type=kind)).eval()
    maps = torch.randn(3, 16, 2, 2)
    for one, other in zip(neck((maps,)), neck((-maps, maps)), strict=True):
        assert torch.equal(one, other)


def test_what_counts_is_the_batch_of_all_processes(monkeypatch):
    monkeypatch.setattr('pauc_mm.models.cld.get_world_size', lambda: 2)
    assert step(build(num_clusters=BATCH))


# ---- several processes -----------------------------------------------------
def on_rank(num_clusters):
    """A step on this rank's share; eval mode as BatchNorm sees its own."""
    model = build(num_clusters=num_clusters).eval()
    share = BATCH // get_world_size()
    part = slice(get_rank() * share, (get_rank() + 1) * share)
    inputs = [view[part] for view in data_of(model)['inputs']]
    losses = model.loss(inputs)
    total_of(losses).backward()
    values = {name: value.detach().clone() for name, value in losses.items()}
    gradients = {
        name: parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    own = values['loss_group'].item()
    for tensor in [*values.values(), *gradients.values()]:
        all_reduce(tensor, op='mean')  # as DistributedDataParallel does
    return own, values, gradients, model.state_dict()['queue']


@pytest.mark.slow
def test_two_ranks_have_the_loss_and_gradient_of_one(tmp_path):
    # Eight clusters are more than the six samples of a rank.
    _, values, gradients, queue = on_rank(8)
    results = run_ranks(on_rank, 2, tmp_path, 8)
    assert results[0][0] == results[1][0]
    for _, other_values, other_gradients, other_queue in results:
        for name, value in values.items():
            assert other_values[name].item() == pytest.approx(
                value.item(), abs=1e-5
            ), name
        assert gradients.keys() == other_gradients.keys()
        for name, gradient in gradients.items():
            torch.testing.assert_close(
                other_gradients[name], gradient, rtol=1e-4, atol=1e-6
            )
        torch.testing.assert_close(other_queue, queue)


def refusals():
    """Errors of rank 1 with a bad query and key, and of rank 0 beside it."""
    texts = []
    model = build(num_clusters=8).eval()
    for view in (2, 1):
        inputs = [view[:6] for view in data_of(model)['inputs']]
        if get_rank() == 1:
            inputs[view] = inputs[view] * float('nan')
        try:
            model.loss(inputs)
        except ValueError as error:
            texts.append(str(error))
        model.check_batch(9)
    return texts


@pytest.mark.slow
def test_all_ranks_refuse_what_is_not_finite_on_one(tmp_path):
    for texts in run_ranks(refusals, 2, tmp_path):
        assert len(texts) == 2
        assert all('NaN or infinite' in text for text in texts)


# ---- bad input -------------------------------------------------------------
@pytest.mark.parametrize('views', [1, 2, 4])
def test_other_numbers_of_views_are_explained(views):
    with pytest.raises(ValueError, match=r'MultiView\(num_views=3\)'):
        step(build(), views=views)
    with pytest.raises(ValueError, match=r'MultiView\(num_views=3\)'):
        build().loss(torch.zeros(3, 3, 8, 8))  # three images


def test_one_embedding_is_not_enough():
    one, three = build(neck=model_cfg('PCL')['neck']), build()
    three.neck.forward = lambda maps: 3 * [torch.zeros(BATCH, 8)]
    for model, number in ((one, 1), (three, 3)):
        with pytest.raises(ValueError, match=rf"{number} .*type='CLDNeck'"):
            step(model)


@pytest.mark.parametrize('view', [0, 1, 2])
def test_what_is_not_finite_is_refused(view):
    model = build()
    data = data_of(model)
    data['inputs'][view][3, 0, 0, 0] = float('nan')
    with pytest.raises(ValueError, match='NaN or infinite.*optimizer.lr'):
        model(**data, mode='loss')


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(num_clusters=1), 'model.num_clusters'),
        (dict(num_clusters=2.5), 'model.num_clusters'),
        (dict(num_clusters=[4, 6]), 'model.num_clusters'),
        (dict(num_iters=0), 'model.num_iters'),
        (dict(num_iters=True), 'model.num_iters'),
        (dict(group_temperature=0.0), 'model.group_temperature'),
        (dict(group_weight=-1), 'model.group_weight'),
        (dict(group_weight=float('nan')), 'model.group_weight'),
        (dict(queue_len=0), 'model.queue_len'),
        (dict(momentum=1.0), 'model.momentum'),
        (dict(neck={**NECK, 'in_channels': 0}), 'model.neck.in_channels'),
        (dict(neck={**NECK, 'hid_channels': 0}), 'model.neck.hid_channels'),
        (dict(neck={**NECK, 'out_channels': 0}), 'model.neck.out_channels'),
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
        build(**changes)


# ---- the neck --------------------------------------------------------------
def test_normalised_layers_give_cosines():
    neck = MODELS.build({**NECK, 'norm_linear': True})
    maps = torch.randn(5, 16, 3, 2, generator=torch.Generator().manual_seed(0))
    outputs = neck((torch.zeros(5, 4, 6, 4), maps))  # the last stage counts
    for branch, got in zip((neck.instance, neck.group), outputs):
        hidden = torch.relu(neck.hidden(maps.mean(dim=(2, 3))))
        for n in range(5):
            for d in range(8):
                cosine = F.cosine_similarity(
                    hidden[n], branch.weight[d], dim=0
                )
                assert got[n, d].item() == pytest.approx(
                    cosine.item(), abs=1e-6
                )
        assert branch.bias is None
        torch.testing.assert_close(branch.weight.norm(dim=1), torch.ones(8))
    assert not torch.equal(neck.instance.weight, neck.group.weight)
    plain = MODELS.build({**NECK, 'norm_linear': False})
    assert type(plain.group) is torch.nn.Linear
    for net, branches in ((neck, {'weight'}), (plain, {'weight', 'bias'})):
        assert set(net.state_dict()) == {
            'hidden.weight',
            'hidden.bias',
            *(f'instance.{name}' for name in branches),
            *(f'group.{name}' for name in branches),
        }


def test_the_instance_branch_stands_for_the_image():
    model = build().eval()
    images = data_of(model)['inputs'][0]
    features, embeddings = embed_images(model, images)
    instance, _ = model.neck(model.backbone(images))
    torch.testing.assert_close(embeddings, F.normalize(instance, dim=1))
    samples = model(
        images,
        [DataSample(metainfo=dict(sample_idx=i)) for i in range(12)],
        mode='predict',
    )
    for i, sample in enumerate(samples):
        torch.testing.assert_close(sample.feature, features[i])
        torch.testing.assert_close(sample.embedding, embeddings[i])
        assert sample.sample_idx == i
    alone = model(images, mode='predict')
    assert torch.equal(torch.stack([s.embedding for s in alone]), embeddings)
    with pytest.raises(RuntimeError, match='Invalid mode'):
        model(images, mode='nonsense')


# ---- steps -----------------------------------------------------------------
def test_each_step_draws_anew_and_a_loaded_one_again(monkeypatch):
    model, seeds = build(), []

    def noted(*args):
        seeds.append(args[-1].initial_seed())
        return batch_kmeans(*args)

    monkeypatch.setattr('pauc_mm.models.cld.batch_kmeans', noted)
    for _ in range(3):
        state = copy.deepcopy(model.state_dict())
        step(model)
    assert len(seeds) == 6 and len(set(seeds)) == 3  # two views a step
    model.load_state_dict(state)
    step(model)
    assert seeds[-1] == seeds[-3]
    other = build()
    other.load_state_dict(state)
    step(other)
    assert seeds[-1] == seeds[-3]
    other.seed_run(1)
    other.load_state_dict(state)
    step(other)
    assert seeds[-1] not in seeds[:-2]


def test_keys_reach_the_queue_in_a_ring():
    model = build(queue_len=20)
    keys, encode = [], model.encode_keys

    def noted(images):
        keys.extend(encode(images))
        return torch.stack(keys[-len(images) :])

    model.encode_keys = noted
    for seed in range(3):
        step(model, seed=seed)
    queue = model.queue
    for place in range(20):
        newest = place + 20 if place + 20 < 36 else place
        torch.testing.assert_close(queue[:, place], keys[newest])


@pytest.mark.slow
def test_training_raises_the_accuracy_of_groups():
    model = build()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    history = []
    for _ in range(60):
        optimizer.zero_grad()
        losses = step(model)
        total_of(losses).backward()
        optimizer.step()
        history.append(losses)
    assert history[-1]['loss_group'] < 0.7 * history[0]['loss_group']
    assert history[-1]['acc_group'] > history[0]['acc_group'] + 0.3


def test_bf16_autocast_keeps_losses_in_float32():
    model = build()
    exact = step(copy.deepcopy(model))
    seen = []

    def noting(function):
        def call(*args):
            assert not torch.is_autocast_enabled('cpu')
            seen.extend(args)
            return function(*args)

        return call

    model.instance_losses = noting(model.instance_losses)
    model.group_losses = noting(model.group_losses)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = step(model)
    for vectors in seen:  # normalised after half precision, not before
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(BATCH))
    for name, value in losses.items():
        assert value.dtype == torch.float32, name
        if 'loss' in name:
            assert value.item() == pytest.approx(
                exact[name].item(), rel=0.1, abs=0.05
            )
    assert model.queue.dtype == torch.float32


def test_nothing_in_a_step_waits_for_the_device(monkeypatch):
    # What is not finite is read at once on a CPU only, one step later else.
    monkeypatch.setattr('pauc_mm.models.cld.CLD._note_not_finite', _ignore)
    model = build()
    data = data_of(model)
    total_of(model.loss(**data)).backward()  # asks once for the counter
    with RefuseToWait():
        total_of(model.loss(**data)).backward()


def _ignore(*_):
    pass


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_nothing_waits_on_a_gpu_and_nan_is_said_one_step_later():
    model = build().cuda()
    data = data_of(model)
    model.loss(**data)
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode('error')
    try:
        total_of(model.loss(**data)).backward()
    finally:
        torch.cuda.set_sync_debug_mode(before)
    data['inputs'][0][:] = float('nan')
    model.loss(**data)
    with pytest.raises(ValueError, match='NaN or infinite'):
        model.loss(**data)


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')  # torch's own, about its internals
def test_compiled_agrees_with_eager():
    plain = build()
    compiled = copy.deepcopy(plain)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    forward = torch.compile(
        compiled.forward, backend='aot_eager_decomp_partition'
    )
    frames = []
    for seed in range(6):
        data = data_of(plain, seed=seed)
        want, got = plain(**data, mode='loss'), forward(**data, mode='loss')
        for name, value in want.items():
            assert got[name].item() == pytest.approx(
                value.item(), rel=1e-3, abs=1e-5
            )
        frames.append(torch._dynamo.utils.counters['frames']['total'])
    assert frames[3] == frames[-1], 'compiles anew in each step'


# ---- a real run ------------------------------------------------------------
def cld_run(folder, **changes):
    from mmengine.runner import Runner

    from pauc_mm.engine.launch import prepare_launch

    cfg = run_cfg(folder, max_epochs=4, **changes)
    del cfg.default_hooks['clustering']
    cfg.model = cld_cfg()
    loader = loader_cfg(TWO_VIEWS)
    pipeline = copy.deepcopy(TWO_VIEWS)
    pipeline[0]['num_views'] = 3
    loader['dataset']['pipeline'] = pipeline
    cfg.train_dataloader = loader
    cfg.val_dataloader = loader_cfg(PLAIN)
    cfg.val_cfg = dict(
        type='EmbeddingValLoop', bank_dataloader=loader_cfg(PLAIN)
    )
    cfg.val_evaluator = [dict(type='KNNAccuracy', k=(3,))]
    if get_world_size() > 1:
        cfg.launcher = 'pytorch'
        prepare_launch(cfg)
    return Runner.from_cfg(cfg)


@pytest.mark.slow
def test_a_run_learns(tmp_path):
    whole = cld_run(tmp_path)
    whole.train()
    assert whole.model.state_dict()['encoder_k.steps'] == 12
    logged = whole.message_hub.log_scalars
    for name in ('loss_infonce', 'loss_group', 'acc_instance', 'acc_group'):
        values = logged[f'train/{name}'].data[0]
        assert len(values) == 12 and all(map(math.isfinite, values)), name
    assert logged['val/knn/k3'].data[0][-1] > 0.5  # of four kinds


def trained(folder):
    runner = cld_run(folder)
    runner.train()
    return runner.model.module.state_dict()


@pytest.mark.slow
def test_two_processes_train_and_stay_in_step(tmp_path):
    first, second = run_ranks(trained, 2, tmp_path / 'r', tmp_path / 'run')
    for name, value in first.items():
        if 'running_' not in name:  # BatchNorm statistics are each rank's own
            assert value.float().isfinite().all(), name
            assert torch.equal(value, second[name]), name
