# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import inspect
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from pauc_mm.clustering import concentration
from pauc_mm.embedding.e_step import extract_embeddings
from pauc_mm.engine.checks import clustering_checks
from pauc_mm.engine.hooks import ClusteringHook
from pauc_mm.engine.hooks import clustering_hook as module
from pauc_mm.utils import derive_seed
from tests.helpers import PLAIN, TWO_VIEWS, TinyImages, run_cfg, run_ranks


def clustering_hook(runner):
    return next(
        h for h in runner.hooks if type(h).__name__ == 'ClusteringHook'
    )


def test_e_step_embeds_every_image_without_augmentation(tmp_path):
    runner = Runner.from_cfg(run_cfg(tmp_path, max_epochs=2))
    runner.train()
    model = runner.model
    hook = clustering_hook(runner)
    embeddings = extract_embeddings(model, hook.dataset, batch_size=7).gather()
    # By hand: the images as they are, in order, through the momentum encoder
    images = torch.stack(
        [
            torch.from_numpy(hook.dataset.get_data_info(i)['img'])
            for i in range(48)
        ]
    ).permute(0, 3, 1, 2)
    model.eval()
    with torch.no_grad():
        expected = model.encoder_k((images.float() - 127.5) / 127.5)[0]
    expected = torch.nn.functional.normalize(expected, dim=1)
    torch.testing.assert_close(embeddings, expected, rtol=1e-4, atol=1e-5)


def test_prototypes_are_consistent_after_the_e_step(tmp_path):
    cfg = run_cfg(tmp_path, max_epochs=2)
    cfg.model.head.temperature = 0.2
    runner = Runner.from_cfg(cfg)
    runner.train()
    hook = clustering_hook(runner)
    hook.e_step(runner, 2)
    model = runner.model
    prototypes = model.prototypes
    embeddings = extract_embeddings(
        model, hook.dataset, batch_size=48
    ).gather()
    assert prototypes.assignments.shape == (2, 48)
    for m, (centroids, phi) in enumerate(
        zip(
            prototypes.centroids,
            prototypes.concentrations().split(prototypes.sizes),
        )
    ):
        nearest = (embeddings @ centroids.t()).argmax(dim=1)
        assert torch.equal(nearest, prototypes.assignments[m])
        distances = (embeddings - centroids[nearest]).norm(dim=1)
        means, sizes = torch.bincount(nearest, distances), nearest.bincount()
        torch.testing.assert_close(
            phi,
            concentration(means / sizes, sizes, 0.2),
            rtol=1e-4,
            atol=1e-6,
        )
        assert phi.mean().item() == pytest.approx(0.2, rel=1e-5)


def test_warm_up_then_every_interval(tmp_path, monkeypatch):
    cfg = run_cfg(tmp_path, max_epochs=7, warmup_epochs=2)
    cfg.default_hooks.clustering.interval = 3
    runner = Runner.from_cfg(cfg)
    hook = clustering_hook(runner)
    epochs = []
    original = hook.e_step
    monkeypatch.setattr(
        hook, 'e_step', lambda r, e: (epochs.append(e), original(r, e))
    )
    runner.train()
    assert epochs == [2, 5]


def test_persistent_workers_train_on_new_assignments(tmp_path):
    # The ancestor wrote labels into the data set, which persistent workers
    # never see. Here the training process looks them up by sample_idx.
    cfg = run_cfg(tmp_path, max_epochs=3)
    cfg.train_dataloader.update(num_workers=2, persistent_workers=True)
    runner = Runner.from_cfg(cfg)
    model = runner.model
    seen = []
    original = model.prototype_losses

    def spy(query, key, assigned):
        seen.append((runner.epoch, assigned.clone()))
        return original(query, key, assigned)

    model.prototype_losses = spy
    truth = {}
    hook = clustering_hook(runner)
    e_step = hook.e_step

    def remember(r, epoch):
        e_step(r, epoch)
        # another labelling in each epoch, to be told apart
        model.prototypes.assignments[:] = r.epoch
        truth[r.epoch] = r.epoch

    hook.e_step = remember
    runner.train()
    assert sorted(truth) == [1, 2]
    assert {epoch for epoch, _ in seen} == {1, 2}
    for epoch, assigned in seen:
        assert (assigned == epoch).all()


@pytest.mark.slow
def test_log_line_says_what_matters(tmp_path):
    runner = Runner.from_cfg(run_cfg(tmp_path, max_epochs=3))
    runner.logger.setLevel('INFO')
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    runner.logger.addHandler(handler)
    runner.train()
    # 8 is the dimension, and 64 the length of the queue.
    assert any('48 embeddings of 8 dimensions' in line for line in lines)
    lines = [line for line in lines if line.startswith('Clustering K=')]
    assert len(lines) == 4  # two clusterings in two epochs
    for word in ('clusters used', 'median', 'objective', 'concentration'):
        assert word in lines[0]
    assert 'others of its cluster, chance for acc_proto_0 ' in lines[0]
    assert 'chance for acc_proto_1 ' in lines[1]
    assert 'none before' in lines[0]
    nmi = float(lines[2].rsplit(' ', 1)[1])
    assert 0 < nmi <= 1


def test_no_warm_up_clusters_the_query_weights(tmp_path):
    # The momentum encoder is initialised on its own; before the first step
    # it must be given the weights of the query encoder.
    runner = Runner.from_cfg(run_cfg(tmp_path, warmup_epochs=0, max_epochs=1))
    query = runner.model.neck.fc.weight
    runner.model.init_weights = lambda: torch.nn.init.ones_(query)
    hook = clustering_hook(runner)
    weights = {}
    original = hook._embed

    def look(*args):
        weights['query'] = runner.model.neck.fc.weight.clone()
        weights['momentum'] = runner.model.encoder_k.module[1].fc.weight
        assert torch.equal(weights['query'], weights['momentum'])
        return original(*args)

    hook._embed = look
    runner.train()
    assert weights


def test_warm_start_begins_with_the_last_centroids(tmp_path):
    cfg = run_cfg(tmp_path, max_epochs=4)
    cfg.default_hooks.clustering.kmeans.warm_start = True
    runner = Runner.from_cfg(cfg)
    hook = clustering_hook(runner)
    fit, calls = hook.kmeans.fit, []

    def remember(features, k, seed, init=None):
        calls.append((runner.epoch, k, init))
        if init is not None:
            m = runner.model.num_clusters.index(k)
            last = runner.model.prototypes.centroids[m].numpy()
            assert (init == last).all()
        return fit(features, k, seed, init)

    hook.kmeans.fit = remember
    runner.train()
    assert [(e, k, i is None) for e, k, i in calls] == [
        (1, 4, True),
        (1, 6, True),
        *((epoch, k, False) for epoch in (2, 3) for k in (4, 6)),
    ]


@pytest.mark.parametrize('least, small', [(8, None), (9, [6]), (13, [4, 6])])
def test_clusters_of_too_few_images_are_told(tmp_path, least, small):
    cfg = run_cfg(tmp_path)  # 48 images and at most 6 clusters
    cfg.default_hooks.clustering.kmeans.min_points_per_centroid = least
    runner, lines = Runner.from_cfg(cfg), []
    runner.logger.warning = lines.append
    clustering_hook(runner).before_train(runner)
    told = [line for line in lines if 'min_points_per_centroid' in line]
    words = (
        f'K={small} leaves fewer than kmeans.min_points_per_centroid={least} '
        'of the 48 images to a cluster'
    )
    assert [words in line for line in told] == [True] * bool(small)


def test_prototypes_of_the_first_epoch_are_resumed(tmp_path):
    cfg = run_cfg(tmp_path / 'a', warmup_epochs=0)
    runner, other = Runner.from_cfg(cfg), Runner.from_cfg(cfg.copy())
    hook, checkpoint = clustering_hook(runner), {}
    hook.before_train(runner)
    hook.before_save_checkpoint(runner, checkpoint)  # as within a warm-up
    other._resume = True
    clustering_hook(other).after_load_checkpoint(other, checkpoint)
    prototypes = other.model.prototypes
    assert not prototypes.ready
    hook.e_step(runner, 0)
    hook.before_save_checkpoint(runner, checkpoint)
    clustering_hook(other).after_load_checkpoint(other, checkpoint)
    assert prototypes.ready and prototypes.epoch == 0
    want = runner.model.prototypes.vectors()
    assert torch.equal(prototypes.vectors(), want)


def test_the_bank_has_room_for_the_images_of_a_rank(tmp_path):
    cfg = run_cfg(tmp_path)
    cfg.default_hooks.clustering.features = 'momentum_bank'
    runner = Runner.from_cfg(cfg)
    hook = clustering_hook(runner)
    hook.before_train(runner)
    runner.train_dataloader.sampler.num_samples = 24  # of 48, on two ranks
    hook.before_train_epoch(runner)
    assert runner.model.prototypes.bank.embeddings.shape == (24, 8)


def test_k_means_is_tried_where_it_will_run(monkeypatch):
    calls, said = [], []
    kmeans = SimpleNamespace(
        gpu_id=lambda: 3,
        fit=lambda *args: calls.append(args),
        gpu_memory=lambda k, dim: (10 * k + dim) * 2**20,
    )
    monkeypatch.setattr(
        clustering_checks, 'print_log', lambda text, **_: said.append(text)
    )
    clustering_checks.check_kmeans_device(kmeans, (4, 9, 6), 8)
    ((points, k, seed),) = calls
    assert (k, seed) == (2, 0) and points.dtype == np.float32
    assert (points == np.eye(8)).all()
    assert 'CUDA device 3' in said[0] and ' 98 MiB' in said[0]
    clustering_checks.check_kmeans_device(kmeans, (4,), 1)
    assert calls[1][0].shape == (2, 1)  # as many as clusters


def test_each_epoch_and_clustering_has_a_seed_of_its_own(tmp_path):
    runner = Runner.from_cfg(run_cfg(tmp_path, max_epochs=3))
    kmeans, model = clustering_hook(runner).kmeans, runner.model
    fit, seed_negatives = kmeans.fit, model.seed_negatives
    clusterings, negatives = [], []
    kmeans.fit = lambda features, k, seed: (
        clusterings.append(seed),
        fit(features, k, seed),
    )[1]
    model.seed_negatives = lambda seed: (
        negatives.append(seed),
        seed_negatives(seed),
    )
    runner.train()
    assert negatives == [derive_seed(7, epoch) for epoch in range(3)]
    assert clusterings == [
        derive_seed(7, epoch, m) for epoch in (1, 2) for m in (0, 1)
    ]
    assert len(set(negatives)) == 3 and len(set(clusterings)) == 4


def test_a_clusterer_without_warm_start_is_not_asked_for_it(tmp_path):
    cfg = run_cfg(tmp_path, max_epochs=3)
    runner = Runner.from_cfg(cfg)
    hook = clustering_hook(runner)
    fit = hook.kmeans.fit

    class Plain:
        def fit(self, features, k, seed):
            return fit(features, k, seed)

    hook.kmeans = Plain()
    runner.train()
    assert runner.model.prototypes.ready


@pytest.mark.parametrize(
    'key, value',
    [
        ('features', 'bank'),
        ('amp_dtype', 'half'),
        ('channels_last', 'yes'),
        ('interval', 0),
        ('ramp_epochs', -1),
    ],
)
def test_bad_options_name_the_key(tmp_path, key, value):
    cfg = run_cfg(tmp_path)
    cfg.default_hooks.clustering[key] = value
    with pytest.raises(ValueError, match=f'clustering.{key} must be'):
        Runner.from_cfg(cfg)


def nan_weights(runner):
    with torch.no_grad():
        for parameter in runner.model.encoder_k.parameters():
            parameter.fill_(float('nan'))


def test_non_finite_embeddings_stop_with_the_facts(tmp_path):
    runner = Runner.from_cfg(run_cfg(tmp_path, max_epochs=2))
    runner.train()
    nan_weights(runner)
    with pytest.raises(RuntimeError, match=r'48 of 48 .* epoch 3; first samp'):
        clustering_hook(runner).e_step(runner, 2)


def test_they_are_named_with_the_precision(tmp_path, monkeypatch):
    cfg = run_cfg(tmp_path, max_epochs=2)
    cfg.optim_wrapper.update(type='CPUAmpOptimWrapper', dtype='bfloat16')
    cfg.default_hooks.clustering.amp_dtype = 'bfloat16'
    runner = Runner.from_cfg(cfg)
    runner.train()
    hook = clustering_hook(runner)
    nan_weights(runner)
    monkeypatch.setattr(
        hook.dataset,
        'get_data_info',
        lambda i: dict(original(i), img_path=f'{i}.jpg'),
    )
    original = type(hook.dataset).get_data_info.__get__(hook.dataset)
    with pytest.raises(
        RuntimeError,
        match=r'0 \(0.jpg\), 1 \(1.jpg\).* AMP: CPUAmpOptimWrapper in '
        'training and bfloat16 in the E-step',
    ):
        hook.e_step(runner, 2)


def test_the_ramp_weighs_the_prototype_losses(tmp_path):
    cfg = run_cfg(tmp_path, warmup_epochs=1, max_epochs=6)
    cfg.default_hooks.clustering.ramp_epochs = 3
    runner = Runner.from_cfg(cfg)
    runner.load_or_resume()
    model, raw, shares = runner.model, {}, {}
    unweighted, whole = model.prototype_losses, model.loss
    instance, kept = model.instance_losses, {}

    def remember(*args):
        raw.clear()
        raw.update(unweighted(*args))
        return dict(raw)

    def keep(*args):
        kept.update(instance(*args))
        return dict(kept)

    def compare(*args, **kwargs):
        losses = whole(*args, **kwargs)
        for name, value in kept.items():
            assert torch.equal(losses[name], value)
        for name, value in raw.items():
            share = (losses[name] / value).item() if value != 0 else None
            if name.startswith('loss') and share is not None:
                shares.setdefault(runner.epoch, set()).add(round(share, 5))
            if name.startswith('acc'):
                assert losses[name] == value
        return losses

    model.prototype_losses, model.loss = remember, compare
    model.instance_losses = keep
    runner.train()
    assert shares == {1: {0.33333}, 2: {0.66667}, 3: {1}, 4: {1}, 5: {1}}


def concat(runner_cfg):
    half = dict(type='TinyImages', num_images=24, pipeline=TWO_VIEWS)
    runner_cfg.train_dataloader.dataset = dict(
        type='ConcatDataset', datasets=[half, dict(half, seed=1)]
    )


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'model.num_clusters': [4, 49]}, r'model.num_clusters=.*49'),
        (
            {'default_hooks.clustering.warmup_epochs': 4},
            r'warmup_epochs=4 is not below train_cfg.max_epochs=4',
        ),
        (
            {'default_hooks.clustering.ramp_epochs': 4},
            r'ramp_epochs=4 after warmup_epochs=1 .*Set ramp_epochs to 3',
        ),
        ({'model.queue_len': 8}, r'model.queue_len=8 is smaller'),
        ({'train_dataloader.batch_size': 64}, r'no whole batch of 48'),
    ],
)
def test_misfits_are_refused_before_training(tmp_path, changes, message):
    runner = Runner.from_cfg(run_cfg(tmp_path, **changes))
    with pytest.raises(ValueError, match=message):
        runner.train()
    assert runner.iter == 0


def test_misfits_are_refused_without_a_setup_check_hook(tmp_path):
    cfg = run_cfg(tmp_path, **{'model.num_clusters': [4, 49]})
    del cfg.default_hooks['setup_check']
    runner = Runner.from_cfg(cfg)
    with pytest.raises(ValueError, match='model.num_clusters'):
        runner.train()
    assert runner.iter == 0


def test_a_loop_without_epochs_is_refused(tmp_path):
    cfg = run_cfg(tmp_path)
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=5)
    cfg.param_scheduler = None
    with pytest.raises(TypeError, match='train_cfg.type is IterBased'):
        Runner.from_cfg(cfg).train()


@pytest.mark.parametrize(
    'pipeline, message',
    [
        (TWO_VIEWS, '2 views of each image'),
        ([dict(type='PackInputs', meta_keys=())], 'sample_idx'),
        ([dict(type='Resize', scale=0), dict(type='PackInputs')], 'failed'),
    ],
)
def test_a_broken_pipeline_shows_before_the_warm_up(
    tmp_path, monkeypatch, pipeline, message
):
    cfg = run_cfg(tmp_path)
    cfg.default_hooks.clustering.pipeline = pipeline
    runner = Runner.from_cfg(cfg)
    together, met = module.raise_together, []

    def meet(error, work):
        met.append((work, runner.model.training))
        together(error, work)

    monkeypatch.setattr(module, 'raise_together', meet)
    found = f'clustering.pipeline.*{message}'
    with pytest.raises(ValueError, match=found) as raised:
        runner.train()
    assert raised.value.__cause__ is not None  # its traceback is shown
    # The other ranks hear of it, and the model trains on.
    assert met == [('Trying default_hooks.clustering.pipeline', True)]
    assert runner.iter == 0


def test_a_missing_hook_is_said_once(tmp_path):
    cfg = run_cfg(tmp_path, max_epochs=2)
    del cfg.default_hooks['clustering']
    runner = Runner.from_cfg(cfg)
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    runner.logger.addHandler(handler)
    runner.train()
    told = [line for line in lines if 'without a ClusteringHook' in line]
    assert len(told) == 1


def test_colliding_sample_idx_is_refused(tmp_path):
    cfg = run_cfg(tmp_path)
    concat(cfg)
    with pytest.raises(ValueError, match='ConcatDataset'):
        Runner.from_cfg(cfg).train()


def test_repeated_data_set_is_clustered_once(tmp_path):
    cfg = run_cfg(tmp_path, max_epochs=2)
    cfg.train_dataloader.dataset = dict(
        type='RepeatDataset', times=2, dataset=cfg.train_dataloader.dataset
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.model.prototypes.assignments.shape == (2, 48)
    assert runner.iter == 2 * (96 // 16)
    assert module._identity(runner)['num_samples'] == 48


def test_another_model_is_refused(tmp_path):
    cfg = run_cfg(tmp_path)
    cfg.model.type = 'MoCo'
    for key in (
        'num_clusters',
        'proto_head',
        *(name + '_loss' for name in ('align', 'uniform', 'corr')),
    ):
        cfg.model.pop(key)
    with pytest.raises(TypeError, match=r'default_hooks.clustering .* MoCo '):
        Runner.from_cfg(cfg).train()


def test_prototypes_without_an_e_step_are_refused():
    runner = SimpleNamespace(model=torch.nn.Linear(1, 1))
    runner.model.prototypes = torch.nn.Identity()
    runner._resume = True
    for check in (
        module._check_model,
        lambda runner: ClusteringHook(PLAIN).after_load_checkpoint(runner, {}),
    ):
        with pytest.raises(TypeError, match='model.prototypes=Identity'):
            check(runner)
    runner.model.prototypes.needs_e_step = True
    assert module._check_model(runner) is runner.model


@pytest.mark.parametrize(
    'key, value',
    [
        ('warmup_epochs', -1),
        ('interval', 0),
        ('batch_size', 0),
        ('num_workers', -1),
    ],
)
def test_bad_values_name_the_key(tmp_path, key, value):
    cfg = run_cfg(tmp_path)
    cfg.default_hooks.clustering[key] = value
    with pytest.raises(ValueError, match=f'default_hooks.clustering.{key}'):
        Runner.from_cfg(cfg)


def test_a_sample_seen_twice_is_an_error(tmp_path):
    runner = Runner.from_cfg(run_cfg(tmp_path, max_epochs=2))
    runner.train()
    dataset = clustering_hook(runner).dataset
    transform = dataset.pipeline

    def collide(results):
        results['sample_idx'] = min(results['sample_idx'], 40)
        return transform(results)

    dataset.pipeline = collide
    with pytest.raises(RuntimeError, match='sample_idx.* of 7 of 48'):
        extract_embeddings(runner.model, dataset, batch_size=16).gather()


def seeds_of_a_run(folder):
    """Seeds of the negatives and of k-means; each rank has its own seed."""
    from pauc_mm.engine.launch import prepare_launch

    cfg = run_cfg(folder, max_epochs=2)
    cfg.launcher = 'pytorch'
    cfg.train_dataloader.batch_size = 8
    cfg.randomness = dict(seed=7, diff_rank_seed=True)
    prepare_launch(cfg)
    runner = Runner.from_cfg(cfg)
    negatives, clusterings = [], []
    model = runner.model.module
    kmeans = clustering_hook(runner).kmeans
    seed, fit = model.seed_negatives, kmeans.fit

    def noted_seed(number):
        negatives.append(number)
        return seed(number)

    def noted_fit(features, k, seed, **kwargs):
        clusterings.append((k, seed))
        return fit(features, k, seed, **kwargs)

    model.seed_negatives, kmeans.fit = noted_seed, noted_fit
    runner.train()
    return runner.seed, negatives, clusterings


@pytest.mark.slow
def test_ranks_with_seeds_of_their_own_draw_negatives_alike(tmp_path):
    two = run_ranks(seeds_of_a_run, 2, tmp_path / 'r', tmp_path / 'two')
    (one,) = run_ranks(seeds_of_a_run, 1, tmp_path / 's', tmp_path / 'one')
    (own, negatives, first), (other, others, second) = two
    assert (own, other) == (7, 8)
    assert negatives == others == one[1] and len(negatives) == 2
    # However many processes share the clusterings out
    assert sorted(first + second) == sorted(one[2]) and len(one[2]) == 2


def test_a_gpu_that_cannot_cluster_is_told_before_the_warm_up(
    tmp_path, monkeypatch
):
    cfg = run_cfg(tmp_path, max_epochs=2)
    runner = Runner.from_cfg(cfg)
    kmeans = clustering_hook(runner).kmeans
    monkeypatch.setattr(kmeans, 'gpu_id', lambda: 0)

    def run(*args, **kwargs):
        raise RuntimeError('no kernel image is available')

    monkeypatch.setattr(kmeans, '_run', run)
    with pytest.raises(RuntimeError, match='no kernel image'):
        runner.train()
    assert runner.iter == 0


class Prototypes:
    """What the hook reads of a model's prototypes."""

    bank, dim = None, 8

    def __init__(self, epoch=None, ready=True):
        self.epoch, self.ready = epoch, ready


def before_epoch(epoch, prototypes, max_epochs=9, **options):
    """Call the hook before and after an epoch; E-steps, model."""
    hook, made = ClusteringHook(PLAIN, **options), []
    hook.e_step = lambda runner, epoch: made.append(epoch)
    model = torch.nn.Linear(1, 1)
    model.prototypes = prototypes
    model.seed_negatives = lambda seed: setattr(model, 'seed', seed)
    runner = SimpleNamespace(
        model=model,
        epoch=epoch,
        max_epochs=max_epochs,
        seed=7,
        logger=logging.getLogger(__name__),
        train_dataloader=SimpleNamespace(sampler=range(24)),
    )
    hook.before_train_epoch(runner)
    hook.after_train_epoch(runner)
    return made, model


@pytest.mark.parametrize(
    'epoch, prototypes, made',
    [
        (0, Prototypes(ready=False), []),  # the warm-up
        (1, Prototypes(ready=False), []),
        (2, Prototypes(ready=False), [2]),
        (3, Prototypes(2), []),
        (4, Prototypes(2), []),
        (5, Prototypes(2), [5]),
        (4, Prototypes(ready=False), [4]),  # of a checkpoint without them
        (5, Prototypes(5), []),  # of the end of the epoch before
    ],
)
def test_when_an_e_step_is_due(epoch, prototypes, made):
    options = dict(warmup_epochs=2, interval=3)
    done, model = before_epoch(epoch, prototypes, **options)
    assert done == made and prototypes.bank is None
    assert model.seed == derive_seed(7, epoch)


@pytest.mark.parametrize(
    'epoch, max_epochs, made',
    [
        (0, 9, []),  # an interval before the first
        (3, 9, [4]),  # of the last epoch of the warm-up
        (4, 9, []),
        (6, 9, [7]),
        (6, 8, [7]),
        (6, 7, []),  # nothing follows the last epoch
    ],
)
def test_when_the_bank_is_filled(epoch, max_epochs, made):
    prototypes = Prototypes(epoch)
    done, _ = before_epoch(
        epoch,
        prototypes,
        features='momentum_bank',
        warmup_epochs=4,
        interval=3,
        max_epochs=max_epochs,
    )
    assert done == made and (prototypes.bank is not None) == bool(made)
    if made:
        assert prototypes.bank.embeddings.shape == (24, 8)


@pytest.mark.parametrize(
    'epoch, weight',
    [(0, 1), (1, 1), (2, 0.25), (3, 0.5), (4, 0.75), (5, 1), (6, 1)],
)
def test_the_weight_of_an_epoch(caplog, epoch, weight):
    options = dict(warmup_epochs=2, ramp_epochs=4)
    with caplog.at_level('INFO', logger=__name__):
        _, model = before_epoch(epoch, Prototypes(epoch), **options)
    assert model.prototype_weight == weight
    told = f'Epoch {epoch + 1}: the prototype losses have {weight:.2g} of'
    assert [told in text for text in caplog.messages] == [True] * (weight < 1)


def test_every_option_reaches_the_e_step(monkeypatch):
    calls, call = [], inspect.signature(module.extract_embeddings)
    monkeypatch.setattr(
        module,
        'extract_embeddings',
        lambda *args, **named: calls.append(call.bind(*args, **named)),
    )
    hook = ClusteringHook(
        PLAIN,
        batch_size=5,
        num_workers=2,
        amp_dtype='float16',
        channels_last=True,
    )
    hook.dataset, prototypes, lines = range(48), Prototypes(), []
    model = SimpleNamespace(prototypes=prototypes)
    runner = SimpleNamespace(
        model=model, logger=SimpleNamespace(info=lines.append)
    )
    for prototypes.bank in (None, 'bank'):
        hook._embed(runner, 2)
        assert prototypes.bank is None  # its memory is needed
    first, second = (call.arguments for call in calls)
    for arguments in (first, second):
        arguments.update(arguments.pop('options'))
    assert first == dict(
        model=model,
        dataset=hook.dataset,
        batch_size=5,
        num_workers=2,
        description='E-step for epoch 3',
        amp_dtype='float16',
        channels_last=True,
        bank=None,
    )
    assert second == dict(first, bank='bank')
    assert lines[0] == 'E-step for epoch 3: embedding 48 images.'
    assert lines[1].startswith('E-step for epoch 3: from the last epoch')


def test_the_summary_is_given_what_it_describes(tmp_path, monkeypatch):
    calls, results = [], []
    monkeypatch.setattr(
        module,
        'clustering_summary',
        lambda *args: calls.append(args) or 'a line',
    )
    monkeypatch.setattr(module, 'global_batch_size', lambda runner: 99)
    runner = Runner.from_cfg(run_cfg(tmp_path, max_epochs=3))
    hook, prototypes = clustering_hook(runner), runner.model.prototypes
    clock = SimpleNamespace(perf_counter=iter([0, 1, 3, 7] * 2).__next__)
    monkeypatch.setattr(module, 'time', clock)
    runner.logger.info, lines = lambda text, *_: lines.append(text), []
    cluster = hook._cluster
    hook._cluster = lambda *args: results.append(cluster(*args)) or results[-1]
    runner.train()
    assert len(calls) == 4 and prototypes.epoch == 2
    took = 'E-step: 1.0 s to embed the images, 2.0 s to cluster them, 4.0 s'
    assert sum(took in str(line) for line in lines) == 2
    densities = prototypes.concentrations().split(prototypes.sizes)
    for i, (m, k, result, phi, before, batch, negatives) in enumerate(calls):
        step, own = divmod(i, 2)
        assert (m, k, batch, negatives) == (own, (4, 6)[own], 99, 8)
        assert result is results[step][own]
        if step == 0:
            assert before is None
            continue
        assert torch.equal(phi, densities[own])
        assert before.tolist() == results[0][own].assignments.tolist()


def test_two_images_are_tried_as_the_e_step_will(monkeypatch):
    calls = []

    def embed(model, batch, *options):
        samples = batch['data_samples']
        assert batch['inputs'].shape[0] == 2  # one size, or no batch
        index = [sample.sample_idx for sample in samples]
        calls.append((model.training, index, options))
        return None, None, samples

    monkeypatch.setattr(module, 'embed_batch', embed)
    hook = ClusteringHook(PLAIN, amp_dtype='bfloat16', channels_last=True)
    hook.dataset = TinyImages(num_images=5, pipeline=PLAIN)
    model = torch.nn.Linear(1, 1)
    for training in (True, False):
        hook._try_pipeline(SimpleNamespace(model=model.train(training)))
        assert model.training is training
    assert calls == [(False, [0, 4], (True, 'bfloat16', True))] * 2


def test_defaults_are_those_of_the_papers():
    hook = ClusteringHook(PLAIN)
    assert (hook.warmup_epochs, hook.ramp_epochs, hook.interval) == (20, 0, 1)
    assert (hook.batch_size, hook.num_workers) == (256, 4)
    assert hook.features == 'extract' and hook.amp_dtype is None
    assert hook.channels_last is False


def test_what_an_e_step_will_take_is_told(tmp_path, monkeypatch):
    cfg = run_cfg(tmp_path, warmup_epochs=2)
    cfg.default_hooks.clustering.update(interval=3, features='momentum_bank')
    runner, lines = Runner.from_cfg(cfg), []
    runner.logger.info = lines.append
    hook = clustering_hook(runner)
    hook._try_pipeline = lambda runner: None
    # 48 images of 2 MiB each, and the half of them on one of two ranks
    runner.model.prototypes.dim = 2**19
    runner.train_dataloader.sampler.num_samples = 24
    hook.before_train(runner)
    (line,) = (line for line in lines if line.startswith('E-step before'))
    assert line == (
        'E-step before epoch 3 and then every 3 epoch(s): 48 embeddings of '
        '524288 dimensions (96.0 MiB a process), K=[4, 6]. The momentum bank '
        'takes 48.0 MiB on the device.'
    )
    # Each of five processes holds ten images at most.
    checks = []
    for name, stub in (
        ('get_world_size', lambda: 5),
        ('check_kmeans_device', lambda *args: checks.append(args)),
        ('log_plan', lambda *args: None),
    ):
        monkeypatch.setattr(module, name, stub)
    hook.kmeans, hook._why = SimpleNamespace(sharded=True), 'why'
    hook.before_train(runner)
    assert checks == [(hook.kmeans, (4, 6), 2**19, 10, 'why')]
    assert '(20.0 MiB a process)' in lines[-1]
