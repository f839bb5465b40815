# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmengine.dist import get_rank
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.registry import DATASETS, MODELS

from pauc_mm.embedding import dataset as embedding_dataset
from pauc_mm.embedding.dataset import (
    embed_dataset,
    map_dataset,
    non_finite_rows,
    undisturbed,
)
from pauc_mm.embedding.e_step import extract_embeddings
from tests.helpers import (
    PLAIN,
    apart,
    embed_by_hand,
    model_cfg,
    run_ranks,
)


def tiny(num_images=11):
    init_default_scope('mmpretrain')
    return DATASETS.build(
        dict(type='TinyImages', num_images=num_images, pipeline=PLAIN)
    )


def build_model():
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    return apart(MODELS.build(model_cfg('PCL')))


@pytest.mark.parametrize('momentum', [False, True])
@pytest.mark.parametrize('rows', [None, np.array([7, 2, 9, 3])])
def test_every_image_once_in_the_order_of_the_rows(rows, momentum):
    model, dataset = build_model(), tiny()
    model.backbone.layers[0].eval()  # as frozen stages are
    modes = [module.training for module in model.modules()]
    features, embeddings = embed_dataset(
        model, dataset, rows, batch_size=3, momentum=momentum
    )
    assert [module.training for module in model.modules()] == modes
    expected = embed_by_hand(
        model, dataset, range(11) if rows is None else rows, momentum
    )
    torch.testing.assert_close(features, expected[0])
    torch.testing.assert_close(embeddings, expected[1])
    nothing, same = embed_dataset(
        model, dataset, rows, batch_size=3, momentum=momentum, features=False
    )
    assert nothing is None and torch.equal(same, embeddings)


def test_sample_idx_must_be_the_index():
    model, dataset = build_model(), tiny()
    transform = dataset.pipeline

    def collide(results):
        if results['sample_idx'] == 9:
            results['sample_idx'] = 10
        return transform(results)

    dataset.pipeline = collide
    with pytest.raises(
        RuntimeError, match=r'sample_idx.* 1 of 11 .* \[9\] with'
    ):
        embed_dataset(model, dataset)
    dataset.pipeline = lambda results: transform(dict(results, sample_idx=0))
    with pytest.raises(RuntimeError, match='sample_idx.*10 of 11'):
        embed_dataset(model, dataset)
    # What no transform packs is not compared.
    dataset.pipeline = Compose([dict(type='PackInputs', meta_keys=())])
    assert embed_dataset(model, dataset)[1].shape == (11, 8)


def first_pixels(batch):
    if get_rank() == 1 and len(batch['inputs']) == 1:
        raise MemoryError('a batch of one')
    pixels = batch['inputs'].flatten(1)[:, :2]
    return pixels, pixels[:, :1].double()


def map_on_ranks(num_images, batch_size):
    dataset = tiny(num_images)
    try:
        return map_dataset(
            first_pixels, dataset, range(num_images), batch_size
        )
    except (MemoryError, RuntimeError) as error:
        return f'{type(error).__name__}: {error}'


@pytest.mark.slow
@pytest.mark.parametrize('num_images', [1, 9, 12])
def test_two_processes_give_what_one_gives(tmp_path, num_images):
    """Also a process that has no image."""
    expected = map_on_ranks(num_images, 4)
    for outputs in run_ranks(map_on_ranks, 2, tmp_path, num_images, 6):
        for got, want in zip(outputs, expected, strict=True):
            assert got.dtype == want.dtype
            assert torch.equal(got, want)


@pytest.mark.slow
def test_a_process_that_fails_stops_the_other(tmp_path):
    first, second = run_ranks(map_on_ranks, 2, tmp_path, 4, 1)
    assert second == 'MemoryError: a batch of one'
    assert first.startswith('RuntimeError') and 'rank 1' in first


def test_undisturbed_restores_streams_and_buffers():
    model = build_model()

    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()

    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(3)
    expected = draw()
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(3)
    norm = model.backbone.layers[0].bn
    before = norm.running_mean.clone()
    with pytest.raises(KeyError), undisturbed(model):
        inside = draw()
        norm.running_mean.fill_(5)
        raise KeyError
    assert torch.equal(norm.running_mean, before)
    assert draw() == expected
    with undisturbed(model):
        assert draw() == inside  # a fixed seed


def test_non_finite_rows(monkeypatch):
    monkeypatch.setattr('pauc_mm.embedding.dataset._ROWS_AT_ONCE', 4)
    vectors = torch.zeros(10, 4)
    assert non_finite_rows(vectors) == []
    vectors[3, 1], vectors[9, 0] = torch.inf, torch.nan
    assert non_finite_rows(vectors) == [3, 9]


def test_the_options_of_the_loader_and_the_query_encoder(monkeypatch):
    seen, labels, model, dataset = [], [], build_model(), tiny()

    def note(cfg, **options):
        seen.append((cfg['batch_size'], cfg['num_workers'], options))
        return Runner.build_dataloader(dict(cfg, num_workers=0), **options)

    monkeypatch.setattr(
        'pauc_mm.embedding.dataset.Runner',
        SimpleNamespace(build_dataloader=note),
    )
    for name in ('progress', 'raise_together'):
        monkeypatch.setattr(
            embedding_dataset, name, lambda x, label: labels.append(label) or x
        )
    options = dict(batch_size=4, num_workers=3, description='x')
    _, got = embed_dataset(model, dataset, **options)
    embed_dataset(model, dataset)
    assert seen == [(4, 3, dict(seed=0)), (256, 0, dict(seed=0))]
    assert labels == ['x', 'x', *['Embedding images'] * 2]
    _, want = embed_by_hand(model, dataset, range(11))
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize('momentum', [False, True])
def test_the_buffers_of_the_encoder_in_use_are_shared(monkeypatch, momentum):
    model, shared = build_model(), []
    monkeypatch.setattr(
        'pauc_mm.embedding.dataset.share_buffers',
        lambda *modules: shared.extend(modules),
    )
    embed_dataset(model, tiny(), momentum=momentum)
    parts = (
        model.encoder_k.module if momentum else (model.backbone, model.neck)
    )
    assert shared == list(parts)


def test_modes_are_restored_after_a_failure():
    model, dataset = build_model(), tiny()
    model.backbone.eval()
    modes = [module.training for module in model.modules()]

    def fail(results):
        raise KeyError

    dataset.pipeline = fail
    with pytest.raises(KeyError):
        embed_dataset(model, dataset)
    assert [module.training for module in model.modules()] == modes


@pytest.mark.parametrize(
    'options', [{}, dict(amp_dtype='bfloat16', channels_last=True)]
)
def test_the_precision_and_the_memory_format(monkeypatch, options):
    seen, embed_batch = set(), embedding_dataset.embed_batch

    def note(model, batch, momentum, amp_dtype=None, channels_last=False):
        seen.add((amp_dtype, channels_last))
        return embed_batch(model, batch, momentum)

    monkeypatch.setattr(embedding_dataset, 'embed_batch', note)
    # As the E-step does, which hands them on
    extract_embeddings(build_model(), tiny(), 4, **options)
    assert seen == {tuple(options.values()) or (None, False)}
