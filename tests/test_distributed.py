# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Several processes agree with one."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.dataset import default_collate
from mmengine.dist import all_reduce, barrier, get_rank, get_world_size
from mmpretrain.registry import MODELS

from pauc_mm.clustering import KMeansResult, cluster_on_ranks
from pauc_mm.utils import Shard, gather_with_grad, raise_together
from tests.helpers import images_batch, model_cfg, run_cfg, run_ranks

GLOBAL_BATCH = 12


def losses_and_gradients(kind):
    """One training step on this rank's share of a fixed global batch.

    Eval mode takes BatchNorm's batch statistics out of the comparison.
    """
    torch.manual_seed(0)
    model = MODELS.build(model_cfg(kind, num_clusters=[5, 30])).eval()
    generator = torch.Generator().manual_seed(1)
    model.prototypes.update(
        [torch.randn(k, 8, generator=generator) for k in (5, 30)],
        [torch.rand(k, generator=generator) + 0.1 for k in (5, 30)],
        torch.stack(
            [
                torch.randint(k, (GLOBAL_BATCH,), generator=generator)
                for k in (5, 30)
            ]
        ),
        torch.device('cpu'),
    )
    model.seed_negatives(3)
    batch = images_batch(GLOBAL_BATCH)
    share = GLOBAL_BATCH // get_world_size()
    part = slice(get_rank() * share, (get_rank() + 1) * share)
    batch = dict(
        inputs=[view[part] for view in batch['inputs']],
        data_samples=batch['data_samples'][part],
    )
    data = model.data_preprocessor(batch, training=True)
    encoded = []
    model.encoder_k.module.register_forward_pre_hook(
        lambda _, args: encoded.append(args[0])
    )
    losses = model(**data, mode='loss')
    total, _ = model.parse_losses(losses)
    total.backward()
    values = {name: value.detach().clone() for name, value in losses.items()}
    gradients = {
        name: parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }
    for tensor in [*values.values(), *gradients.values()]:
        all_reduce(tensor, op='mean')  # as DistributedDataParallel does
    own = torch.equal(encoded[0], data['inputs'][1])
    return values, gradients, model.state_dict()['queue'], own


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['PCL', 'PAUC'])
def test_same_loss_and_gradient_for_the_same_global_batch(tmp_path, kind):
    values, gradients, queue, own = losses_and_gradients(kind)
    assert own
    assert ('loss_align' in values) is (kind == 'PAUC')
    results = run_ranks(losses_and_gradients, 2, tmp_path, kind)
    for other_values, other_gradients, other_queue, own in results:
        # BatchNorm would tell which key was computed with the query.
        assert not own
        assert values.keys() == other_values.keys()
        for name, value in values.items():
            assert other_values[name].item() == pytest.approx(
                value.item(), abs=1e-5
            ), name
        for name, gradient in gradients.items():
            torch.testing.assert_close(
                other_gradients[name], gradient, rtol=1e-4, atol=1e-5
            )
        torch.testing.assert_close(other_queue, queue)


def e_step(folder, num_clusters, kind):
    from mmengine.runner import Runner

    from pauc_mm.engine.launch import prepare_launch

    cfg = run_cfg(folder, max_epochs=2, warmup_epochs=0)
    cfg.model.num_clusters = num_clusters
    cfg.default_hooks.clustering.kmeans.type = kind
    cfg.launcher = 'pytorch' if get_world_size() > 1 else 'none'
    cfg.train_dataloader.dataset.num_images = 47  # not a multiple of 2 or 3
    cfg.train_dataloader.batch_size = 12
    prepare_launch(cfg)
    runner = Runner.from_cfg(cfg)
    hook = next(
        h for h in runner.hooks if type(h).__name__ == 'ClusteringHook'
    )
    hook.before_train(runner)
    hook.e_step(runner, 0)
    state = getattr(runner.model, 'module', runner.model).prototypes
    return state.clustering()


@pytest.mark.slow
@pytest.mark.parametrize(
    'world_size, num_clusters, kind',
    [
        (2, [4, 6, 9], 'FaissKMeans'),
        (3, [4, 6, 9, 5], 'FaissKMeans'),
        (2, [4, 6, 9], 'ShardedKMeans'),
        (3, [4, 6, 9], 'ShardedKMeans'),
    ],
)
def test_same_e_step(tmp_path, world_size, num_clusters, kind):
    alone = e_step(tmp_path / 'alone', num_clusters, kind)
    arguments = tmp_path / 'many', num_clusters, kind
    results = run_ranks(e_step, world_size, tmp_path / 'r', *arguments)
    for state in results:
        assert torch.equal(state['assignments'], alone['assignments'])
        for key in ('centroids', 'concentrations'):
            for got, want in zip(state[key], alone[key]):
                torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_the_largest_clustering_is_placed_first():
    from pauc_mm.clustering.cluster_on_ranks import _owners

    assert _owners([25, 50, 100], 1) == [0, 0, 0]
    assert _owners([25, 50, 100], 2) == [1, 1, 0]
    assert _owners([25, 50, 100], 8) == [2, 1, 0]
    assert sorted(_owners([10, 10, 10, 10], 3)) == [0, 0, 1, 2]


def bank_embeddings(folder):
    """Embed 11 images: rank 0 sees 0 to 5, rank 1 3 to 8, none sees two."""
    from mmengine.runner import Runner

    from pauc_mm.embedding import e_step
    from pauc_mm.engine.launch import prepare_launch
    from pauc_mm.models import MomentumBank

    e_step._ROWS_AT_ONCE = 2  # in pieces, as of a million images
    cfg = run_cfg(folder, max_epochs=2)
    cfg.launcher = 'pytorch'
    cfg.train_dataloader.dataset.num_images = 11
    cfg.train_dataloader.batch_size = 5
    prepare_launch(cfg)
    runner = Runner.from_cfg(cfg)
    hook = next(
        h for h in runner.hooks if type(h).__name__ == 'ClusteringHook'
    )
    hook.before_train(runner)
    keys = F.normalize(
        torch.randn(12, 8, generator=torch.Generator().manual_seed(0)), dim=1
    )
    rank = get_rank()
    bank = MomentumBank(6, 8, torch.device('cpu'))
    bank.write(torch.arange(6) + 3 * rank, keys[6 * rank : 6 * rank + 6])
    embed = e_step.extract_embeddings
    whole = embed(runner.model, hook.dataset, 4).gather()
    mixed = embed(runner.model, hook.dataset, 4, bank=bank).gather()
    return keys, whole, mixed


@pytest.mark.slow
def test_banks_of_two_processes_are_joined(tmp_path):
    results = run_ranks(bank_embeddings, 2, tmp_path / 'r', tmp_path / 'run')
    keys, whole, mixed = results[0]
    assert torch.equal(mixed, results[1][2])
    torch.testing.assert_close(mixed[:3], keys[:3])
    torch.testing.assert_close(mixed[6:9], keys[9:])
    both = F.normalize(keys[3:6] + keys[6:9], dim=1)
    torch.testing.assert_close(mixed[3:6], both)
    torch.testing.assert_close(mixed[9:], whole[9:])


def ddp_runner(folder, **changes):
    from mmengine.runner import Runner

    from pauc_mm.engine.launch import prepare_launch

    cfg = run_cfg(folder, **changes)
    cfg.launcher = 'pytorch'
    prepare_launch(cfg)
    return Runner.from_cfg(cfg)


def training(folder, wrapper):
    changes = {'optim_wrapper.type': wrapper}
    runner = ddp_runner(folder, max_epochs=2, **changes)
    runner.train()
    return {k: v.clone() for k, v in runner.model.module.state_dict().items()}


@pytest.mark.slow
@pytest.mark.parametrize('wrapper', ['OptimWrapper', 'CPUAmpOptimWrapper'])
def test_two_processes_train_and_stay_in_step(tmp_path, wrapper):
    first, second = run_ranks(
        training, 2, tmp_path / 'r', tmp_path / 'run', wrapper
    )
    for name, value in first.items():
        if 'running_' not in name:  # BatchNorm statistics are each rank's own
            assert torch.isfinite(value.float()).all(), name
            assert torch.equal(value, second[name]), name
    assert (tmp_path / 'run' / 'epoch_2.pth').exists()


def train_then_embed(folder):
    """Embeddings by both ranks, and by this rank's network alone."""
    from pauc_mm.embedding.e_step import extract_embeddings
    from pauc_mm.models.embed import embed_batch

    runner = ddp_runner(folder, max_epochs=2)
    runner.train()
    hook = next(
        h for h in runner.hooks if type(h).__name__ == 'ClusteringHook'
    )
    together = extract_embeddings(runner.model, hook.dataset, 16).gather()
    runner.model.eval()
    batch = default_collate([hook.dataset[i] for i in range(48)])
    alone = embed_batch(runner.model, batch, momentum=True)[1]
    return together, alone


@pytest.mark.slow
def test_all_ranks_embed_with_one_network(tmp_path):
    # BatchNorm statistics differ between ranks after training.
    results = run_ranks(train_then_embed, 2, tmp_path / 'r', tmp_path / 'run')
    for together, alone in results:
        torch.testing.assert_close(together, results[0][1])
        torch.testing.assert_close(alone, results[0][1])


def train_and_resume(folder, changes):
    runner = ddp_runner(folder, max_epochs=4, **changes)
    runner.train()
    whole = {k: v.clone() for k, v in runner.model.module.state_dict().items()}
    barrier()
    if get_rank() == 0:
        for epoch in (3, 4):
            (folder / f'epoch_{epoch}.pth').unlink()
    barrier()
    runner = ddp_runner(folder, max_epochs=4, resume=True, **changes)
    runner.train()
    return whole, runner.model.module.state_dict()


@pytest.mark.slow
@pytest.mark.parametrize(
    'features, kind',
    [
        ('extract', 'ShardedKMeans'),
        ('momentum_bank', 'ShardedKMeans'),
        ('extract', 'FaissKMeans'),
    ],
)
def test_two_processes_resume_exactly(tmp_path, features, kind):
    changes = {
        'default_hooks.clustering.features': features,
        'default_hooks.clustering.kmeans.type': kind,
    }
    results = run_ranks(
        train_and_resume, 2, tmp_path / 'r', tmp_path / 'run', changes
    )
    for rank, (whole, resumed) in enumerate(results):
        for name, value in whole.items():
            # the statistics of the other ranks are in no checkpoint
            if rank == 0 or 'running_' not in name:
                assert torch.equal(value, resumed[name]), name


class FailsOnOneRank:
    """A clusterer that runs out of memory on the last rank."""

    def fit(self, features, k, seed):
        if get_rank() == get_world_size() - 1:
            raise MemoryError(f'no room for k={k}')
        assignments = torch.zeros(len(features), dtype=torch.int64).numpy()
        return KMeansResult(assignments, features[:1], features[0], 0.0, 1)


def failing_e_step():
    features = Shard.of(F.normalize(torch.randn(8, 3), dim=1))
    try:
        cluster_on_ranks(FailsOnOneRank(), features, (2, 3), (0, 1))
    except Exception as error:
        return f'{type(error).__name__}: {error}'


@pytest.mark.slow
def test_an_error_on_one_rank_stops_all(tmp_path):
    first, second = run_ranks(failing_e_step, 2, tmp_path)
    assert second == 'MemoryError: no room for k=2'
    assert first.startswith('RuntimeError: k-means failed on rank 1: Memory')


def gathered():
    local = torch.full((2, 1), float(get_rank() + 1), requires_grad=True)
    everything = gather_with_grad(local)
    everything.pow(2).sum().backward()
    return everything.detach(), local.grad


@pytest.mark.slow
def test_gather_keeps_the_full_gradient(tmp_path):
    for rank, (values, grad) in enumerate(run_ranks(gathered, 2, tmp_path)):
        assert values.flatten().tolist() == [1, 1, 2, 2]
        # d/dx x^2 = 2x, times the two ranks that DDP will average over
        torch.testing.assert_close(grad, torch.full((2, 1), 4.0 * (rank + 1)))


def test_without_other_ranks_nothing_is_copied():
    local = torch.ones(2, 3)
    assert gather_with_grad(local) is local
    raise_together(None, 'nothing')
    with pytest.raises(KeyError):
        raise_together(KeyError('x'), 'something')
