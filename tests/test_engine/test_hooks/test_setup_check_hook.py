# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import logging
from types import SimpleNamespace

import pytest
from mmengine.model import ExponentialMovingAverage
from mmengine.registry import DATA_SAMPLERS
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from mmpretrain.models import ImageClassifier, MoCo
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from pauc_mm.engine.hooks import SetupCheckHook, setup_check_hook
from tests.helpers import run_cfg


def moco_cfg(tmp_path, **changes):
    """mmpretrain's MoCo in batches of 16 of 48 images."""
    cfg = run_cfg(tmp_path, kind='PCL', max_epochs=1)
    cfg.model.type = 'MoCo'
    del cfg.model['num_clusters'], cfg.model['proto_head']
    del cfg.default_hooks['clustering']
    cfg.merge_from_dict(changes)
    return cfg


def test_a_fitting_setup_trains(tmp_path):
    runner = Runner.from_cfg(moco_cfg(tmp_path))
    runner.train()
    assert runner.iter == 3


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'model.queue_len': 60}, r'queue_len=60 .* model.queue_len=64'),
        ({'model.head.temperature': 0.0}, 'model.head.temperature must be'),
        (
            {
                'train_dataloader.drop_last': False,
                'train_dataloader.dataset.num_images': 50,
            },
            'drop_last must be True',
        ),
    ],
)
def test_what_mmpretrain_leaves_unchecked(tmp_path, changes, message):
    runner = Runner.from_cfg(moco_cfg(tmp_path, **changes))
    with pytest.raises(ValueError, match=message):
        runner.train()
    assert runner.iter == 0


@DATA_SAMPLERS.register_module()
class Tens:
    """A batch sampler of one's own, which does not say its batch size."""

    def __init__(self, sampler, batch_size):
        self.order = list(sampler)

    def __iter__(self):
        return iter([self.order[:10], self.order[10:20]])

    def __len__(self):
        return 2


@DATA_SAMPLERS.register_module()
class HonestTens(Tens):
    batch_size = 10


@pytest.mark.parametrize(
    'sampler, message',
    [(HonestTens, 'queue_len=64 .* batch of 10'), (Tens, 'has no attribute')],
)
def test_a_batch_sampler_decides_the_batch(tmp_path, sampler, message):
    cfg = moco_cfg(tmp_path)
    del cfg.train_dataloader.drop_last
    cfg.train_dataloader.batch_sampler = dict(type=sampler.__name__)
    with pytest.raises(ValueError, match=message):
        Runner.from_cfg(cfg).train()


def test_pcl_takes_any_batch(tmp_path):
    cfg = run_cfg(tmp_path, kind='PCL', max_epochs=2)
    cfg.model.queue_len = 61
    Runner.from_cfg(cfg).train()
    assert cfg.model.queue_len % cfg.train_dataloader.batch_size


def a_runner(model, images=48, drop_last=True, **changes):
    """What the hook reads of a runner of 4 epochs of 3 batches."""
    parts = dict(
        model=model,
        train_dataloader=DataLoader(range(images), 16, drop_last=drop_last),
        train_loop=EpochBasedTrainLoop.__new__(EpochBasedTrainLoop),
        val_loop=None,
        optim_wrapper=None,
        param_schedulers=[],
        max_epochs=4,
        max_iters=12,
    )
    return SimpleNamespace(**{**parts, **changes})


def an_empty(kind, **parts):
    model = kind.__new__(kind)
    nn.Module.__init__(model)
    for name, value in parts.items():
        setattr(model, name, value)
    return model


@pytest.mark.parametrize(
    'loop, schedulers, checked',
    [
        (EpochBasedTrainLoop, ['cosine'], (['cosine'], 4, 12)),
        (IterBasedTrainLoop, ['cosine'], (['cosine'], None, 12)),
        (EpochBasedTrainLoop, dict(generator=['cosine']), ([], 4, 12)),
        (EpochBasedTrainLoop, None, ([], 4, 12)),
    ],
)
def test_schedules_are_compared_with_the_run(
    monkeypatch, loop, schedulers, checked
):
    calls = []
    monkeypatch.setattr(
        setup_check_hook, 'check_learning_rates', lambda *a: calls.append(a)
    )
    loop = loop.__new__(loop)
    runner = a_runner(
        nn.Identity(), train_loop=loop, param_schedulers=schedulers
    )
    SetupCheckHook().before_train(runner)
    assert calls == [checked]


@pytest.mark.parametrize(
    'counts, interval', [(None, 5), (1, 5), (2, 2), (12, 12), (13, 13)]
)
def test_accumulated_batches(caplog, counts, interval):
    # Copies that are not told to wait keep their own interval.
    average = ExponentialMovingAverage(nn.Linear(1, 1), interval=5)
    wrapper = SimpleNamespace(_accumulative_counts=counts)
    if counts is None:  # of several optimizers
        del wrapper._accumulative_counts
    model = nn.Sequential(nn.Sequential(average))
    runner = a_runner(model, optim_wrapper=wrapper)
    runner.logger = logging.getLogger()
    SetupCheckHook().before_train(runner)
    assert average.interval == interval
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == (counts == 13)  # more than the 12 batches
    assert all('accumulative_counts=13 is more than the 12' in t for t in told)


@pytest.mark.parametrize('interval', [0, -1, 0.5])
def test_the_interval_of_the_validation(interval):
    runner = a_runner(nn.Identity())
    runner.train_loop.val_interval = interval
    with pytest.raises(ValueError, match='train_cfg.val_interval'):
        SetupCheckHook().before_train(runner)
    runner.train_loop.val_interval, runner.train_loop.val_begin = 1, 0
    SetupCheckHook().before_train(runner)


@pytest.mark.parametrize(
    'queue, images, drop_last, message',
    [
        (64, 50, True, None),
        (64, 48, False, None),  # the last batch is whole too
        (64, 50, False, 'train_dataloader.drop_last must be True'),
        (5, 48, True, 'queue_len=5 .*set model.queue_len=16'),
        (70, 48, True, 'queue_len=70 .*set model.queue_len=64'),
        (73, 48, True, 'queue_len=73 .*set model.queue_len=80'),
    ],
)
def test_the_queue_of_moco(queue, images, drop_last, message):
    runner = a_runner(an_empty(MoCo, queue_len=queue), images, drop_last)
    if message is None:
        SetupCheckHook().before_train(runner)
        return
    with pytest.raises(ValueError, match=message):
        SetupCheckHook().before_train(runner)


def test_a_batch_sampler_that_drops_the_last_batch():
    batches = BatchSampler(SequentialSampler(range(50)), 16, drop_last=True)
    runner = a_runner(an_empty(MoCo, queue_len=64))
    runner.train_dataloader = DataLoader(range(50), batch_sampler=batches)
    SetupCheckHook().before_train(runner)
    batches.drop_last = False
    with pytest.raises(ValueError, match='drop_last must be True'):
        SetupCheckHook().before_train(runner)


def test_the_batch_of_all_processes_fills_the_queue(monkeypatch):
    monkeypatch.setattr(setup_check_hook, 'global_batch_size', lambda _: 32)
    runner = a_runner(an_empty(MoCo, queue_len=64), 48, drop_last=False)
    with pytest.raises(ValueError, match='would not have 32 images'):
        SetupCheckHook().before_train(runner)


def images_of(names):
    class Images(list):
        metainfo = dict(classes=names)

    return DataLoader(Images(range(48)), 16)


@pytest.mark.parametrize(
    'names, outputs, message',
    [
        ('abcd', 4, None),
        ('abcd', 9, None),
        ('abcd', 3, 'num_classes=3, .* 4 classes'),
        ('abcd', 0, 'num_classes=0, .* 4 classes'),
        ('abcd', None, None),
        (None, 3, None),
    ],
)
def test_the_outputs_of_a_classifier(names, outputs, message):
    head = SimpleNamespace(num_classes=outputs)
    if outputs is None:  # a head of one's own
        del head.num_classes
    runner = a_runner(an_empty(ImageClassifier, head=head))
    runner.train_dataloader = images_of(names)
    if message is None:
        SetupCheckHook().before_train(runner)
        return
    with pytest.raises(ValueError, match=message):
        SetupCheckHook().before_train(runner)


@pytest.mark.parametrize(
    'names, message',
    [
        ('abcd', None),
        (None, None),
        ('bacd', 'train_dataloader .* val_dataloader .* the order is another'),
        ('abce', 'only val_dataloader has 1: e'),
    ],
)
def test_the_classes_of_the_validation(names, message):
    head = SimpleNamespace(num_classes=4)
    validation = SimpleNamespace(dataloader=images_of(names))
    runner = a_runner(an_empty(ImageClassifier, head=head))
    runner.train_dataloader, runner.val_loop = images_of('abcd'), validation
    if message is None:
        SetupCheckHook().before_train(runner)
        return
    with pytest.raises(ValueError, match=message):
        SetupCheckHook().before_train(runner)


def test_batches_are_checked():
    with pytest.raises(ValueError, match='batch_size=16 leaves no whole'):
        SetupCheckHook().before_train(a_runner(nn.Identity(), images=10))
    model = nn.Sequential(nn.BatchNorm1d(2))
    with pytest.raises(ValueError, match='a batch of one'):
        SetupCheckHook().before_train(a_runner(model, 33, drop_last=False))


@pytest.mark.parametrize('wrap', [lambda model: model, nn.DataParallel])
def test_a_model_is_asked_before_and_after(wrap):
    class Asked(nn.Module):
        def check_setup(self, runner):
            calls.append(runner)

        def end_epoch(self):
            calls.append('end')

    calls, runner = [], a_runner(wrap(Asked()))
    runner.epoch = 0
    SetupCheckHook().before_train(runner)
    SetupCheckHook().after_train_epoch(runner)
    assert calls == [runner, 'end']
    # Its preprocessor is asked, too, if it can be.
    whole = Asked()
    for whole.data_preprocessor in (nn.Identity(), Asked()):
        calls.clear()
        runner = a_runner(wrap(whole))
        SetupCheckHook().before_train(runner)
    assert calls == [runner, runner]
    SetupCheckHook().after_train_epoch(a_runner(nn.Identity()))
