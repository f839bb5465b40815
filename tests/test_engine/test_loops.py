# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import os
from types import SimpleNamespace

import pytest
import torch
import torch.multiprocessing as mp
from mmengine.config import ConfigDict
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch.utils.data import Dataset

from pauc_mm.engine import loops
from pauc_mm.engine.loops import EmbeddingTestLoop, EmbeddingValLoop
from pauc_mm.evaluation import EmbeddingGeometry
from pauc_mm.models.embed import embed_batch


class Images(Dataset):
    """Random digits-like images, the same for the same seed."""

    metainfo = dict(classes=('a', 'b', 'c'))

    def __init__(self, num, seed, labelled=True):
        generator = torch.Generator().manual_seed(seed)
        self.images = torch.randint(
            0, 256, (num, 1, 32, 32), generator=generator
        ).to(torch.uint8)
        self.labelled = labelled

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        sample = DataSample(metainfo=dict(sample_idx=index))
        if self.labelled:
            sample.set_gt_label(index % 3)
        return dict(inputs=self.images[index], data_samples=sample)


class Recorder(Hook):
    def __init__(self):
        self.calls = []

    def __getattribute__(self, name):
        if name.startswith(('before_', 'after_')):
            return lambda runner, **kwargs: self.calls.append((name, kwargs))
        return super().__getattribute__(name)


def dataloader(dataset, batch_size=4, **kwargs):
    return dict(
        dataset=dataset,
        batch_size=batch_size,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        **kwargs,
    )


def build_model():
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='SimCLR',
            backbone=dict(type='LeNet5'),
            neck=dict(type='LinearNeck', in_channels=120, out_channels=8),
            head=dict(
                type='ContrastiveHead', loss=dict(type='CrossEntropyLoss')
            ),
            data_preprocessor=dict(
                type='SelfSupDataPreprocessor', mean=[128], std=[64]
            ),
        )
    )


def build_runner(tmp_path, stage, query, loop, evaluator=None):
    cfg = {
        f'{stage}_dataloader': dataloader(query),
        f'{stage}_cfg': loop,
        f'{stage}_evaluator': evaluator
        or [dict(type='KNNAccuracy', k=(3, 5)), dict(type='NEMD')],
    }
    return Runner(
        model=build_model(),
        work_dir=str(tmp_path),
        default_scope='mmpretrain',
        experiment_name=f'{stage}-{os.path.basename(str(tmp_path))}',
        log_level='ERROR',
        **cfg,
    )


def embed(dataset, num):
    model = build_model().eval()
    samples = [dataset[i] for i in range(num)]
    batch = dict(
        inputs=torch.stack([s['inputs'] for s in samples]),
        data_samples=[s['data_samples'] for s in samples],
    )
    return embed_batch(model, batch)


@pytest.mark.parametrize(
    'stage, loop_type',
    [('val', EmbeddingValLoop), ('test', EmbeddingTestLoop)],
)
def test_bank_then_query(tmp_path, stage, loop_type):
    bank, query = Images(9, 0), Images(7, 1)
    loop = dict(type=loop_type.__name__, bank_dataloader=dataloader(bank))
    runner = build_runner(tmp_path, stage, query, loop)
    recorder = Recorder()
    runner.register_hook(recorder)
    seen = []
    if stage == 'val':
        runner._val_loop = runner.build_val_loop(runner._val_loop)
        loop = runner.val_loop
    else:
        runner._test_loop = runner.build_test_loop(runner._test_loop)
        loop = runner.test_loop
    assert type(loop) is loop_type
    process = loop.evaluator.process
    loop.evaluator.process = lambda data_samples, data_batch: (
        seen.extend(data_samples),
        process(data_samples, data_batch),
    )
    metrics = getattr(runner, stage)()

    assert [s.split for s in seen] == ['bank'] * 9 + ['query'] * 7
    assert [s.sample_idx for s in seen] == [*range(9), *range(7)]
    for dataset, part in ((bank, seen[:9]), (query, seen[9:])):
        features, embeddings, _ = embed(dataset, len(dataset))
        got = torch.stack([s.feature for s in part])
        assert got.shape == (len(dataset), 120)
        assert torch.allclose(got, features, atol=1e-5)
        got = torch.stack([s.embedding for s in part])
        assert torch.allclose(got, embeddings, atol=1e-5)
        assert torch.allclose(got.norm(dim=1), torch.ones(len(dataset)))
    assert {'knn/k3', 'knn/k5', 'nemd/value'} <= set(metrics)
    assert metrics['nemd/num_pairs'] == 3

    calls = [call for call in recorder.calls if stage in call[0]]
    names = [name for name, _ in calls]
    iters = [f'before_{stage}_iter', f'after_{stage}_iter']
    assert names == [
        f'before_{stage}',
        f'before_{stage}_epoch',
        *iters,
        *iters,
        f'after_{stage}_epoch',
        f'after_{stage}',
    ]
    assert [k['batch_idx'] for n, k in calls if n == iters[1]] == [
        0,
        1,
    ]
    outputs = [k['outputs'] for n, k in calls if n == iters[1]]
    assert [len(output) for output in outputs] == [4, 3]
    assert calls[-2][1] == dict(metrics=metrics)


@pytest.mark.parametrize('fp16', [True, False])
def test_half_precision_is_what_the_network_computes_in(tmp_path, fp16):
    query = Images(6, 1)
    loop = dict(type='EmbeddingTestLoop', fp16=fp16)
    runner = build_runner(tmp_path, 'test', query, loop)
    seen = set()
    runner.model.backbone.register_forward_hook(
        lambda module, args, out: seen.add(out[-1].dtype)
    )
    runner.test()
    half = torch.float16 if torch.cuda.is_available() else torch.bfloat16
    assert seen == {half if fp16 else torch.float32}


def test_without_a_bank_and_through_the_runner(tmp_path):
    query = Images(12, 1)
    runner = build_runner(
        tmp_path, 'val', query, dict(type='EmbeddingValLoop')
    )
    metrics = runner.val()
    features, _, _ = embed(query, 12)
    unit = features / features.norm(dim=1, keepdim=True)
    cosine = (unit @ unit.T).fill_diagonal_(-2)
    votes = torch.zeros(12, 3).index_add_(
        1,
        torch.arange(12) % 3,
        torch.where(
            cosine >= cosine.topk(3).values[:, -1:], (cosine / 0.1).exp(), 0.0
        ),
    )
    expected = (votes.argmax(1) == torch.arange(12) % 3).double().mean().item()
    assert metrics['knn/k3'] == pytest.approx(expected)
    assert not runner.model.training


def test_twice_gives_the_same(tmp_path):
    loop = dict(
        type='EmbeddingValLoop', bank_dataloader=dataloader(Images(9, 0))
    )
    runner = build_runner(tmp_path, 'val', Images(7, 1), loop)
    assert runner.val() == runner.val()


@pytest.mark.parametrize('place', [0, 1])
def test_too_small_a_bank_is_refused_before_anything_runs(tmp_path, place):
    loop = dict(
        type='EmbeddingValLoop', bank_dataloader=dataloader(Images(4, 0))
    )
    metrics = [dict(type='NEMD')]
    metrics.insert(place, dict(type='KNNAccuracy', k=(3, 5)))
    runner = build_runner(tmp_path, 'val', Images(7, 1), loop, metrics)
    with pytest.raises(ValueError, match='KNNAccuracy.k=5.*bank of 4'):
        runner.build_val_loop(runner._val_loop)


def test_unlabelled_images(tmp_path):
    query = Images(7, 1, labelled=False)
    clusters = dict(type='NEMD', groups='clusters', num_clusters=3)
    loop = dict(type='EmbeddingValLoop')
    runner = build_runner(tmp_path, 'val', query, loop, [clusters])
    assert 0 < runner.val()['nemd/value'] < 2
    runner = build_runner(tmp_path / 'knn', 'val', query, loop)
    with pytest.raises(ValueError, match='gt_label.*sample_idx 0'):
        runner.val()


def loop_of(tmp_path, stage='val', **options):
    runner = build_runner(
        tmp_path, stage, Images(7, 1), dict(), dict(type='EmbeddingGeometry')
    )
    kind = EmbeddingValLoop if stage == 'val' else EmbeddingTestLoop
    evaluator = runner.build_evaluator(dict(type='EmbeddingGeometry'))
    loader = options.pop('dataloader', dataloader(Images(7, 1)))
    return kind(runner, loader, evaluator, **options)


def test_the_buffers_of_the_encoder_are_shared_in_eval_mode(
    tmp_path, monkeypatch
):
    loop, shared = loop_of(tmp_path), []
    model = loop.runner.model

    def share(*modules):
        assert not model.training
        shared.extend(modules)

    monkeypatch.setattr(loops, 'share_buffers', share)
    loop.run()
    assert shared == [model.backbone, model.neck]


def test_the_padding_of_each_set_is_left_out(tmp_path, monkeypatch):
    """As process 1 of 2, which has 4 of 9 and 3 of 7."""
    bank = dataloader(Images(9, 0), batch_size=2)
    loop, seen = loop_of(tmp_path, bank_dataloader=bank), []
    monkeypatch.setattr(loops, 'get_dist_info', lambda: (1, 2))
    loop.evaluator = SimpleNamespace(
        process=lambda data_samples, data_batch: seen.append(
            [s.split for s in data_samples]
        ),
        evaluate=lambda size: dict(size=size),
    )
    for _ in range(2):
        seen.clear()
        assert loop.run() == dict(size=16)
        assert [len(samples) for samples in seen] == [2, 2, 0, 0, 0, 3, 0]
        assert seen[0] == ['bank'] * 2 and seen[5] == ['query'] * 3
    monkeypatch.setattr(loops, 'get_dist_info', lambda: (0, 2))
    seen.clear()
    loop.run()
    assert [len(samples) for samples in seen] == [2, 2, 1, 0, 0, 4, 0]
    loop.bank_dataloader = None
    monkeypatch.setattr(loops, 'get_dist_info', lambda: (1, 2))
    seen.clear()
    assert loop.run() == dict(size=7)
    assert [len(samples) for samples in seen] == [3, 0]


@pytest.mark.parametrize('stage', ['val', 'test'])
@pytest.mark.parametrize('place', ['query', 'bank'])
def test_samplers_that_several_processes_cannot_use(
    tmp_path, monkeypatch, stage, place
):
    monkeypatch.setattr(loops, 'get_dist_info', lambda: (0, 2))
    loop_of(tmp_path / 'no_bank', stage)
    good, bad = dataloader(Images(7, 1)), dataloader(Images(7, 1))
    bad['sampler'] = dict(type='InfiniteSampler')
    bank, query = (bad, good) if place == 'bank' else (good, bad)
    key = f'{stage}_dataloader' if place == 'query' else 'bank_dataloader'
    options = dict(dataloader=query, bank_dataloader=bank)
    with pytest.raises(ValueError, match=f'^{key}.sampler.*InfiniteSampler'):
        loop_of(tmp_path, stage, **options)
    monkeypatch.setattr(loops, 'get_dist_info', lambda: (0, 1))
    loop_of(tmp_path / 'alone', stage, **options)


class Count(BaseMetric):
    """Metric of another package."""

    def process(self, data_batch, data_samples):
        self.results += [sample['split'] for sample in data_samples]

    def compute_metrics(self, results):
        return {split: results.count(split) for split in set(results)}


def test_metrics_of_other_packages_are_served(tmp_path):
    bank = ConfigDict(dataloader(Images(9, 0)))  # as a config has it
    loop = loop_of(tmp_path, bank_dataloader=bank)
    both = [Count(), EmbeddingGeometry()]
    loop = EmbeddingValLoop(
        loop.runner, loop.dataloader, both, loop.bank_dataloader
    )
    got = loop.run()
    assert (got['bank'], got['query']) == (9, 7)
    assert 'geometry_embedding/uniformity' in got


@pytest.mark.parametrize('stage', ['val', 'test'])
def test_a_bank_of_other_classes(tmp_path, stage):
    bank = Images(2, 0)
    bank.metainfo = dict(classes=('a', 'c', 'b'))
    found = f'^bank_dataloader has .* {stage}_dataloader .* order is another'
    with pytest.raises(ValueError, match=found):
        loop_of(tmp_path, stage, bank_dataloader=dataloader(bank))


@pytest.mark.parametrize('diff_rank_seed', [None, True])
def test_the_bank_is_loaded_with_the_seed_of_the_run(
    tmp_path, monkeypatch, diff_rank_seed
):
    runner, seen = loop_of(tmp_path).runner, []
    if diff_rank_seed:
        runner._randomness_cfg['diff_rank_seed'] = True
    build = runner.build_dataloader

    def note(cfg, **options):
        seen.append(options)
        return build(cfg, **options)

    monkeypatch.setattr(runner, 'build_dataloader', note)
    bank = dataloader(Images(9, 0))
    geometry = runner.build_evaluator(dict(type='EmbeddingGeometry'))
    loop = EmbeddingValLoop(runner, dataloader(Images(7, 1)), geometry, bank)
    built = EmbeddingValLoop(
        runner, loop.dataloader, geometry, loop.bank_dataloader
    )
    assert built.bank_dataloader is loop.bank_dataloader
    seed = dict(seed=runner.seed, diff_rank_seed=bool(diff_rank_seed))
    assert seen[1] == seed and len(seen) == 2


@pytest.mark.parametrize('place', ['query', 'bank'])
def test_a_pipeline_that_packs_no_samples(tmp_path, monkeypatch, place):
    bank = dataloader(Images(9, 0)) if place == 'bank' else None
    loop = loop_of(tmp_path, bank_dataloader=bank)
    monkeypatch.setattr(
        loops, 'embed_batch', lambda *_, **__: (torch.ones(4, 2),) * 2 + ([],)
    )
    with pytest.raises(ValueError, match=f'{place} pipeline packs no data'):
        loop.run()


def run_loops(path):
    """Results of the same data with a bank (9 samples) and without."""
    runner = build_runner(path, 'val', Images(7, 1), dict())
    results = []
    for bank in (dataloader(Images(9, 0), batch_size=2), None):
        loop = dict(type='EmbeddingValLoop', bank_dataloader=bank)
        results.append(runner.build_val_loop(loop).run())
    return runner, results


def message_of(function):
    try:
        function()
    except (ValueError, RuntimeError) as error:
        return f'{type(error).__name__}: {error}'


def work(rank, world_size, path):
    os.chdir(path)
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo',
        init_method=f'file://{path}/store',
        rank=rank,
        world_size=world_size,
    )
    # 9 and 7 are odd: the sampler pads each split on the second process.
    runner, results = run_loops(path / 'two')

    sampler = dataloader(Images(7, 1))
    sampler['sampler'] = dict(type='InfiniteSampler')
    loop = dict(type='EmbeddingValLoop', bank_dataloader=sampler)
    results.append(message_of(lambda: runner.build_val_loop(loop)))

    clusters = dict(type='NEMD', groups='clusters', num_clusters=3)
    loop = EmbeddingValLoop(runner, dataloader(Images(7, 1)), clusters)
    runner.model.neck.fc.weight.data.fill_(float('nan'))
    results.append(message_of(loop.run))
    torch.save(results, path / f'{rank}.pth')
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_agree_with_one(tmp_path):
    mp.spawn(work, args=(2, tmp_path), nprocs=2)
    first, second = (torch.load(tmp_path / f'{rank}.pth') for rank in (0, 1))
    _, expected = run_loops(tmp_path / 'one')
    assert first[:2] == second[:2]
    for got, one in zip(first, expected):
        assert got == pytest.approx(one, rel=1e-5, abs=1e-6)
    assert 'bank_dataloader.sampler' in first[2]
    assert 'InfiniteSampler' in first[2]
    # Both stop, rather than one waiting for the other.
    assert 'ValueError: NEMD: the `embedding` of 7 of 7' in first[3]
    assert 'sample_idx 0, sample_idx 1, sample_idx 2' in first[3]
    assert 'RuntimeError: NEMD failed on rank 0' in second[3]
