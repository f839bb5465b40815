# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import inspect
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
from torch import nn

from pauc_mm.engine.hooks import ClusteringHook, embedding_hook
from pauc_mm.engine.hooks.embedding_hook import EmbeddingHook


@pytest.mark.parametrize('workers, used', [(None, 3), (0, 0), (2, 2)])
def test_every_option_reaches_the_embedding(monkeypatch, workers, used):
    calls = []
    call = inspect.signature(embedding_hook.embed_dataset)

    def embed(*args, **named):
        calls.append(call.bind(*args, **named))
        torch.rand(3)  # as a pipeline may draw

    monkeypatch.setattr(embedding_hook, 'embed_dataset', embed)
    hook = EmbeddingHook(
        momentum=True,
        batch_size=5,
        num_workers=workers,
        amp_dtype='bfloat16',
        channels_last=True,
    )
    hook.dataset = 'images'
    runner = SimpleNamespace(
        model=nn.Linear(1, 1),
        train_dataloader=SimpleNamespace(num_workers=3),
    )
    stream = torch.get_rng_state()
    hook.embed(runner, [4, 1], features=False)
    hook.embed(runner)
    assert torch.equal(torch.get_rng_state(), stream)  # the run's stays
    some, every = (call.arguments for call in calls)
    assert some == dict(
        model=runner.model,
        dataset='images',
        rows=[4, 1],
        batch_size=5,
        num_workers=used,
        momentum=True,
        amp_dtype='bfloat16',
        channels_last=True,
        features=False,
    )
    assert every == {**some, 'rows': None, 'features': True}


def test_the_pipeline_is_the_nearest_one():
    cfg = Config(
        dict(
            test_pipeline=[dict(type='Tested')],
            val_dataloader=dict(dataset=dict(pipeline=[dict(type='Seen')])),
        )
    )
    hook = EmbeddingHook(pipeline=[dict(type='Own')])
    hook.key = 'default_hooks.mine'
    runner = SimpleNamespace(
        cfg=cfg, hooks=[hook, ClusteringHook([dict(type='Clustered')])]
    )

    def found():
        source, pipeline = hook._find_pipeline(runner)
        return source, [transform['type'] for transform in pipeline]

    assert found() == ('default_hooks.mine.pipeline', ['Own'])
    hook.pipeline = None
    where = 'default_hooks.clustering.pipeline'
    assert found() == (where, ['Clustered'])
    runner.hooks = [hook]
    assert found() == ('test_pipeline', ['Tested'])
    cfg.pop('test_pipeline')
    assert found() == ('val_dataloader.dataset.pipeline', ['Seen'])
    for cfg.val_dataloader in (dict(dataset={}), {}, None):
        with pytest.raises(ValueError, match='mine.pipeline is not set'):
            found()


@pytest.mark.parametrize(
    'options, key',
    [
        (dict(momentum='yes'), 'momentum'),
        (dict(amp_dtype='half'), 'amp_dtype'),
        (dict(channels_last='yes'), 'channels_last'),
        (dict(batch_size=0), 'batch_size'),
        (dict(num_workers=-1), 'num_workers'),
    ],
)
def test_bad_options_name_the_key(options, key):
    with pytest.raises(ValueError, match=f'{key} must be'):
        EmbeddingHook(**options)


@pytest.mark.parametrize(
    'momentum, loop, found',
    [
        (False, IterBasedTrainLoop, 'default_hooks.mine.*IterBasedTrainLoop'),
        (True, EpochBasedTrainLoop, 'no momentum encoder'),
    ],
)
def test_what_cannot_be_embedded_is_said_before_the_training(
    momentum, loop, found
):
    hook = EmbeddingHook(pipeline=[], momentum=momentum)
    hook.key = 'default_hooks.mine'
    model = nn.Module()
    model.backbone = model.neck = nn.Identity()
    runner = SimpleNamespace(model=model, train_loop=loop.__new__(loop))
    with pytest.raises(TypeError, match=found):
        hook.before_train(runner)


def test_the_defaults_and_the_least_options():
    hook = EmbeddingHook()
    assert (hook.batch_size, hook.momentum, hook.num_workers) == (256, 0, None)
    hook = EmbeddingHook(batch_size=1, num_workers=0, amp_dtype='float16')
    assert hook.amp_dtype == 'float16' and hook.batch_size == 1
