# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import copy

import numpy as np
import pytest
import torch
from mmengine.dataset import RepeatDataset
from mmengine.logging import MessageHub
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from mmpretrain.registry import DATASETS, MODELS
from mmpretrain.structures import DataSample
from mmpretrain.utils import get_ori_model

from pauc_mm.engine.launch import prepare_launch
from pauc_mm.models import DeviceAugmentation
from tests.helpers import (
    PLAIN,
    assert_same,
    images_batch,
    run_cfg,
    run_ranks,
)
from tests.test_models.test_step_never_waits import RefuseToWait

COLOURS = [
    dict(type='ViewColorJitter', brightness=0.4, hue=0.3, prob=0.8),
    dict(type='ViewGrayscale', prob=0.2),
    dict(type='ViewGaussianBlur', sigma=(0.1, 1.0), prob=0.5),
    dict(type='ViewSolarize', prob=0.2),
    dict(type='ViewFlip', prob=0.5),
]
CROP = dict(type='ViewResizedCrop', scale=8)
NORM = dict(mean=[127.5] * 3, std=[50.0] * 3, to_rgb=True)


def views_of(num_views, *pipelines):
    """Pipeline of several views that begin with a crop."""
    transforms = [[CROP, *pipeline] for pipeline in pipelines]
    views = dict(type='MultiView', num_views=num_views, transforms=transforms)
    return [views, *PLAIN]


class Run:
    """What check_setup reads of a Runner."""

    def __init__(self, pipeline, wrap=lambda dataset: dataset, loop=None):
        dataset = dict(type='mmpretrain.TinyImages', pipeline=pipeline)
        self.dataset = DATASETS.build(dataset)
        self.train_dataloader = self
        self.train_loop = object.__new__(loop or EpochBasedTrainLoop)
        self.dataset = wrap(self.dataset)


@pytest.fixture(autouse=True)
def scope():
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope('mmpretrain'):
        MessageHub.get_current_instance().update_info('epoch', 3)
        yield


def set_up(pipeline=None, seed=7):
    part = MODELS.build(dict(type='DeviceAugmentation', **NORM))
    part.check_setup(Run(pipeline or views_of(2, COLOURS)))
    part.seed_run(seed)
    return part


def augment(part, batch):
    return part(copy.copy(batch), training=True)['inputs']


def rows(batch, chosen):
    return dict(
        inputs=[view[chosen] for view in batch['inputs']],
        data_samples=[batch['data_samples'][i] for i in chosen],
    )


def test_a_view_depends_on_seed_epoch_sample_and_its_number_alone():
    part, batch = set_up(), images_batch(num=12)
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, second = augment(part, batch)
    assert torch.equal(torch.get_rng_state(), state[0])
    assert (np.random.get_state()[1] == state[1]).all()
    # Other batches, as with more processes or another order.
    for chosen in ([5], [11, 0, 3]):
        one, two = augment(part, rows(batch, chosen))
        assert torch.equal(one, first[chosen])
        assert torch.equal(two, second[chosen])
    # The same pixels under another number, in another view, epoch or run.
    batch['inputs'][1] = batch['inputs'][0]
    assert not torch.equal(*augment(part, batch))
    moved = dict(batch, data_samples=images_batch(num=13)['data_samples'][1:])
    others = [augment(part, moved)[0], augment(set_up(seed=8), batch)[0]]
    MessageHub.get_current_instance().update_info('epoch', 4)
    others.append(augment(part, batch)[0])
    for other in others:
        assert not torch.equal(other, first)


def test_without_a_transform_that_is_drawn_only_the_norm_is_left():
    part = set_up(views_of(2, [dict(type='ViewFlip', prob=0)]))
    batch = images_batch()
    plain = MODELS.build(dict(type='SelfSupDataPreprocessor', **NORM))
    expected = plain(copy.copy(batch), training=True)['inputs']
    torch.testing.assert_close(
        augment(part, batch), expected, atol=1e-5, rtol=0
    )
    # Neither turned nor normalised, if nothing says so.
    bare = MODELS.build(dict(type='DeviceAugmentation'))
    bare.check_setup(Run(views_of(2, [dict(type='ViewFlip', prob=0)])))
    bare.seed_run(0)
    for found, view in zip(augment(bare, batch), batch['inputs'], strict=True):
        torch.testing.assert_close(found, view.float(), atol=1e-4, rtol=0)
    # Outside of the training, whatever was taken over.
    found = set_up()(copy.copy(batch))
    assert all(map(torch.equal, found['inputs'], expected))
    assert [s.sample_idx for s in found['data_samples']] == [*range(6)]


def test_red_is_red():
    """The images come in OpenCV's order, and red weighs 0.2989."""
    grey = dict(type='ViewGrayscale', prob=1)
    batch = images_batch()
    red = torch.zeros_like(batch['inputs'][0])
    red[:, 2] = 255
    batch['inputs'] = [red, red]
    view, _ = augment(set_up(views_of(2, [grey])), batch)
    expected = torch.full_like(view, (255 * 0.2989 - 127.5) / 50)
    torch.testing.assert_close(view, expected)


def test_neither_autocast_nor_a_wait():
    part, batch = set_up(), images_batch()
    expected = augment(part, batch)
    with torch.autocast('cpu', dtype=torch.bfloat16), RefuseToWait():
        found = augment(part, batch)
    assert all(map(torch.equal, found, expected))
    assert not found[0].requires_grad and found[0].dtype == torch.float32


# ---- what is taken over ----------------------------------------------------
def test_each_view_keeps_its_own_transforms():
    """Two global and six local views, as CARP's."""
    shared, last = COLOURS[:2], COLOURS[3:]
    run = Run(views_of([1, 1, 6], shared, [*shared, *last], []))
    part = MODELS.build(dict(type='DeviceAugmentation', **NORM))
    part.check_setup(run)
    names = [[type(t).__name__ for t in view] for view in part.views]
    first = ['ViewColorJitter', 'ViewGrayscale']
    assert names == [first, [*first, 'ViewSolarize', 'ViewFlip'], *[[]] * 6]
    # The workers are left with the crops, and a second start changes nothing.
    multi = run.dataset.pipeline.transforms[0]
    crops = [p.transforms for p in multi.pipelines]
    assert [len(left) for left in crops] == [1, 1, 1]
    assert all(crop.is_last for (crop,) in crops)
    part.check_setup(run)
    assert len(part.views) == 8
    part.seed_run(0)
    views = [
        torch.zeros(2, 3, s, s, dtype=torch.uint8) for s in [9, 9, *[5] * 6]
    ]
    batch = dict(inputs=views, data_samples=images_batch(2)['data_samples'])
    assert [v.shape[-1] for v in augment(part, batch)] == [9, 9, *[5] * 6]


def test_only_the_end_is_taken():
    """A transform that is not ours stays, with all before it."""
    other = dict(type='RandomFlip', prob=0.5)
    run = Run(views_of(2, [COLOURS[0], other, COLOURS[1]]))
    part = MODELS.build(dict(type='DeviceAugmentation'))
    part.check_setup(run)
    assert [len(view) for view in part.views] == [1, 1]
    multi = run.dataset.pipeline.transforms[0]
    assert len(multi.pipelines[0].transforms) == 3


def test_all_of_a_view_may_be_taken():
    views = dict(type='MultiView', num_views=2, transforms=[COLOURS[-2:]])
    run, part = Run([views, *PLAIN]), DeviceAugmentation()
    part.check_setup(run)
    assert [len(view) for view in part.views] == [2, 2]
    assert run.dataset.pipeline.transforms[0].pipelines[0].transforms == []


# ---- bad input -------------------------------------------------------------
def repeated(dataset):
    return RepeatDataset(dataset, times=2)


@pytest.mark.parametrize(
    'pipeline, options, message',
    [
        (views_of(2, []), {}, r'finds nothing to do.*ViewColorJitter'),
        (PLAIN, {}, r'finds nothing to do.*MultiView'),
        (views_of(2, COLOURS), dict(wrap=repeated), 'RepeatDataset'),
        (
            views_of(2, COLOURS),
            dict(loop=IterBasedTrainLoop),
            r'train_cfg\.by_epoch=True.*IterBasedTrainLoop',
        ),
    ],
)
def test_a_setup_that_is_refused(pipeline, options, message):
    part = DeviceAugmentation()
    with pytest.raises(ValueError, match=message):
        part.check_setup(Run(pipeline, **options))


def no_index(batch):
    batch['data_samples'][1] = DataSample()


def of_two_sizes(batch):  # as pseudo_collate leaves them
    batch['inputs'] = [list(view) for view in batch['inputs']]


@pytest.mark.parametrize(
    'spoil, message',
    [
        (no_index, r'PackInputs\.meta_keys'),
        (of_two_sizes, r'train_dataloader\.collate_fn'),
        (lambda b: b['inputs'].pop(), r'2 views.*uint8 \(6, 3, 8, 8\)'),
        (
            lambda b: b.update(inputs=[v.float() for v in b['inputs']]),
            'float32',
        ),
        (
            lambda b: b.update(inputs=[v[:, :1] for v in b['inputs']]),
            r'\(6, 1, 8, 8\)',
        ),
        (lambda b: b.update(inputs=b['inputs'][0]), r'uint8 \(3, 8, 8\)'),
    ],
)
def test_a_batch_that_is_refused(spoil, message):
    batch = images_batch()
    spoil(batch)
    with pytest.raises(ValueError, match=message):
        augment(set_up(), batch)


def test_images_in_another_order_are_refused():
    with pytest.raises(ValueError, match='data_preprocessor.rgb_to_bgr'):
        DeviceAugmentation(rgb_to_bgr=True)
    assert DeviceAugmentation(rgb_to_bgr=False).views == []


def test_a_missing_hook_is_named():
    part = DeviceAugmentation()
    with pytest.raises(RuntimeError, match='default_hooks.setup_check'):
        augment(part, images_batch())
    part.check_setup(Run(views_of(2, COLOURS)))
    with pytest.raises(RuntimeError, match='default_hooks.epoch_seed'):
        augment(part, images_batch())


# ---- real runs -------------------------------------------------------------
def device_cfg(work_dir, **changes):
    cfg = run_cfg(work_dir, **changes)
    cfg.train_dataloader.dataset.pipeline = views_of(2, COLOURS)
    cfg.model.data_preprocessor.type = 'DeviceAugmentation'
    return cfg


def trained(cfg):
    """Run, and return its weights and the first view of each step."""
    runner, views = Runner.from_cfg(cfg), []
    model = get_ori_model(runner.model)
    loss = model.loss

    def step(inputs, data_samples):
        index = torch.tensor([sample.sample_idx for sample in data_samples])
        views.append((index, inputs[0].clone()))
        return loss(inputs, data_samples)

    model.loss = step
    runner.train()
    return model.state_dict(), views


@pytest.mark.slow
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path):
    whole, views = trained(device_cfg(tmp_path, max_epochs=3))
    assert len(views) == 9
    whole = {key: value.clone() for key, value in whole.items()}
    (tmp_path / 'epoch_3.pth').unlink()
    resumed, last = trained(device_cfg(tmp_path, max_epochs=3, resume=True))
    assert_same(last, views[6:])
    assert whole.keys() == resumed.keys()
    for key in whole:
        assert torch.equal(whole[key], resumed[key]), key


def views_by_sample(folder, changes):
    """Train two epochs on crops of nothing; the views of each sample."""
    cfg = device_cfg(folder, max_epochs=2, **changes)
    whole = dict(CROP, crop_ratio_range=(1, 1), aspect_ratio_range=(1, 1))
    cfg.train_dataloader.dataset.pipeline[0]['transforms'][0][0] = whole
    prepare_launch(cfg)
    index, views = map(torch.cat, zip(*trained(cfg)[1]))
    return index, views


@pytest.mark.slow
def test_workers_batches_and_ranks_change_nothing(tmp_path):
    seen = []
    for changes in (
        {},
        {'train_dataloader.num_workers': 2},
        {
            'train_dataloader.batch_size': 8,
            'optim_wrapper.accumulative_counts': 2,
        },
    ):
        folder = tmp_path / f'run{len(seen)}'
        seen.append(views_by_sample(folder, changes))
    assert seen[0][1].shape == (96, 3, 8, 8)
    assert_same(seen[0], seen[1])
    assert_same(seen[0], seen[2])
    assert sorted(seen[0][0][:48].tolist()) == [*range(48)]
    expected = {}
    for epoch, rows in enumerate(zip(*(part.split(48) for part in seen[0]))):
        for index, view in zip(*rows):
            expected[epoch, int(index)] = view
    changes = {'launcher': 'pytorch', 'train_dataloader.batch_size': 8}
    ranks = run_ranks(views_by_sample, 2, tmp_path, tmp_path / 'two', changes)
    for index, views in ranks:
        for row, (sample, view) in enumerate(zip(index, views)):
            assert torch.equal(expected.pop((row // 24, int(sample))), view)
    assert not expected
