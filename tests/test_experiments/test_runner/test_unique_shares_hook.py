# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from experiments.runner import unique_shares_hook as module
from experiments.runner.unique_shares_hook import (
    FILE_NAME,
    UniqueSharesHook,
    _summary,
    read_records,
    recording_epochs,
)
from tests.helpers import PLAIN, run_cfg
from tests.test_experiments.test_runner.test_prototype_usage import (
    EPSILONS,
    slowly,
)

K = 12


def carp_run(work_dir, max_epochs=3, hook=True, **changes):
    """Config of a run of CARP on 48 images, with the hook or without."""
    cfg = run_cfg(work_dir, 'PCL', max_epochs=max_epochs)
    del cfg.default_hooks['clustering']
    cfg.model = dict(
        type='CARP',
        feat_dim=8,
        data_preprocessor=cfg.model.data_preprocessor,
        backbone=cfg.model.backbone,
        neck=dict(
            type='CARPNeck', in_channels=16, hid_channels=16, out_channels=8
        ),
        head=dict(type='CARPHead', num_prototypes=K, partition_size=4),
    )
    cfg.test_pipeline = PLAIN
    if hook:
        cfg.default_hooks.unique_shares = dict(type='UniqueSharesHook')
    cfg.merge_from_dict(changes)
    return cfg


@pytest.mark.parametrize(
    'last, epochs',
    [
        (120, [0, 1, 2, 5, 10, 20, 40, 80, 120]),
        (80, [0, 1, 2, 5, 10, 20, 40, 80]),
        (65, [0, 1, 2, 5, 10, 20, 40, 65]),
        (650, [0, 1, 2, 5, 10, 20, 40, 80, 160, 320, 640, 650]),
        (3, [0, 1, 2, 3]),
        (1, [0, 1]),
    ],
)
def test_epochs_are_spaced_geometrically(last, epochs):
    assert recording_epochs(last) == epochs


@pytest.mark.slow
@pytest.mark.parametrize('decouple', [False, True])
def test_it_records_and_changes_nothing(tmp_path, decouple):
    states = []
    changes = {}
    if decouple:
        changes['model.prototypes'] = dict(
            type='MixturePrototypes', init_samples=16, eta=0.9
        )
    for hook in (True, False):
        cfg = carp_run(tmp_path / str(hook), hook=hook, **changes)
        # Nothing else would restore the random streams.
        del cfg.default_hooks['epoch_seed']
        if hook:  # a pipeline that draws numbers
            cfg.default_hooks.unique_shares.pipeline = [
                dict(type='RandomFlip', prob=0.0),
                *PLAIN,
            ]
        runner = Runner.from_cfg(cfg)
        start = {k: v.clone() for k, v in runner.model.state_dict().items()}
        runner.train()
        states.append((runner.model.state_dict(), torch.rand(1).item()))
    (state, number), (expected, expected_number) = states
    assert number == expected_number
    assert any(not torch.equal(start[k], expected[k]) for k in start)
    for name, value in expected.items():
        assert torch.equal(state[name], value), name

    records = read_records(tmp_path / 'True' / FILE_NAME)
    assert [r['epoch'] for r in records] == [0, 1, 2, 3]
    # The last one, from the model as it is now, an image at a time
    runner.model.eval()
    images = [
        runner.train_dataloader.dataset.get_data_info(i)['img']
        for i in range(48)
    ]
    batch = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        maps = runner.model.backbone((batch - 127.5) / 127.5)
        embeddings = runner.model.neck(maps)[0]
    vectors = runner.model.prototypes.vectors().detach()
    expected = slowly(
        vectors.double().numpy(), embeddings.double().numpy(), EPSILONS
    )
    (own,) = records[-1]['sets']
    assert records[-1]['epsilons'] == list(EPSILONS)
    for name, value in expected.items():
        assert own[name] == pytest.approx(value, rel=1e-6), name


@pytest.mark.slow
def test_a_resumed_run_has_each_record_once(tmp_path):
    whole = tmp_path / 'whole'
    Runner.from_cfg(carp_run(whole, max_epochs=6)).train()
    folder = tmp_path / 'resumed'
    cfg = carp_run(folder, max_epochs=6)
    cfg.default_hooks.checkpoint.interval = 3
    runner = Runner.from_cfg(cfg)

    def die(*args, **kwargs):
        if runner.epoch == 5:
            raise KeyboardInterrupt
        return step(*args, **kwargs)

    step, runner.model.train_step = runner.model.train_step, die
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    before = read_records(folder / FILE_NAME)
    assert [r['epoch'] for r in before] == [0, 1, 2, 5]
    cfg = carp_run(folder, max_epochs=6, resume=True)
    Runner.from_cfg(cfg).train()  # from epoch 3
    assert read_records(folder / FILE_NAME) == read_records(whole / FILE_NAME)
    # Another run in the folder begins anew.
    Runner.from_cfg(carp_run(folder, max_epochs=1)).train()
    again = read_records(folder / FILE_NAME)
    assert [r['epoch'] for r in again] == [0, 1]


def test_several_sets_of_prototypes_and_none_yet(tmp_path):
    cfg = run_cfg(tmp_path, 'PCL', max_epochs=2)
    cfg.default_hooks.unique_shares = dict(
        type='UniqueSharesHook', epsilons=[0.3]
    )
    Runner.from_cfg(cfg).train()
    records = read_records(tmp_path / FILE_NAME)
    sets = [[s['prototypes'] for s in r['sets']] for r in records]
    assert sets == [[], [], [4, 6]]  # an epoch of warm-up
    assert [len(s['unique']) for s in records[-1]['sets']] == [1, 1]


@pytest.mark.parametrize(
    'epoch, there, left, measured',
    [
        (0, [0, 1, 5], [0], 1),  # another run in the folder begins anew
        (2, [0, 1, 5], [0, 1, 2], 1),
        (2, [0, 1, 2, 5], [0, 1, 2], 0),
        (3, [0, 1, 2, 5], [0, 1, 2], 0),
        (1, [0, 1, 2, 5], [0, 1], 0),
        (2, None, [2], 1),  # the hook is new
        (3, None, [], 0),
    ],
)
def test_records_that_will_be_repeated_are_dropped(
    tmp_path, monkeypatch, caplog, epoch, there, left, measured
):
    monkeypatch.setattr(
        module.EmbeddingHook, 'before_train', lambda self, runner: None
    )
    monkeypatch.setattr(module, 'has_prototypes', lambda model: True)
    monkeypatch.setattr(module, 'prototype_sets', lambda model: [])
    path, calls = tmp_path / FILE_NAME, []
    if there is not None:
        records = [dict(epoch=e, epsilons=[], sets=[]) for e in there]
        path.write_text(''.join(json.dumps(r) + '\n' for r in records))
    hook = UniqueSharesHook()
    hook.embed = lambda runner, features: calls.append(features) or (None, 1)
    runner = SimpleNamespace(
        work_dir=str(tmp_path),
        epoch=epoch,
        max_epochs=9,
        model=None,
        logger=logging.getLogger(__name__),
    )
    caplog.set_level(logging.INFO, __name__)
    hook.before_train(runner)
    assert [r['epoch'] for r in read_records(path)] == left
    assert calls == [False] * measured
    for runner.epoch in range(epoch, 9):
        hook.after_train_epoch(runner)
    later = [e for e in (1, 2, 5, 9) if e > epoch]
    assert [r['epoch'] for r in read_records(path)] == left + later
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == measured + len(later)
    assert told[-1] == 'Prototypes after epoch 9: none yet'


def test_the_options():
    hook = UniqueSharesHook()
    assert (hook.epsilons, hook.num_workers) == ([0.025, 0.1, 0.25, 0.5], 0)
    hook = UniqueSharesHook(epsilons=[0.5, 1])
    assert json.dumps(hook.epsilons) == '[0.5, 1.0]'


def test_the_log_line():
    one = dict(prototypes=12, used=3, unique=[0.5, 0.25], unique_used=[1, 0.4])
    two = dict(prototypes=4, used=4, unique=[0.1, 0.2], unique_used=[0.3, 0])
    record = dict(epoch=5, epsilons=[0.1, 0.025], sets=[one, two])
    assert _summary(record) == (
        'Prototypes after epoch 5: 3 of 12 prototypes used, unique 50.0% '
        '(100.0% of the used) at 0.1, 25.0% (40.0% of the used) at 0.025; '
        '4 of 4 prototypes used, unique 10.0% (30.0% of the used) at 0.1, '
        '20.0% (0.0% of the used) at 0.025'
    )
    assert _summary(dict(record, sets=[])).endswith('epoch 5: none yet')


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(epsilons=[0.0]), 'unique_shares.epsilons must be'),
        (dict(epsilons=[]), 'unique_shares.epsilons must be'),
        (dict(batch_size=0), 'unique_shares.batch_size must be .*got 0'),
        (dict(num_workers=-1), 'num_workers must be an integer >= 0'),
    ],
)
def test_wrong_arguments(tmp_path, changes, message):
    cfg = carp_run(tmp_path)
    cfg.default_hooks.unique_shares.update(changes)
    with pytest.raises(ValueError, match=message):
        Runner.from_cfg(cfg)


def test_what_it_cannot_record(tmp_path):
    cfg = carp_run(tmp_path)
    cfg.pop('test_pipeline')
    with pytest.raises(ValueError, match='unique_shares.pipeline is not set'):
        Runner.from_cfg(cfg).train()
    cfg = run_cfg(tmp_path, 'PCL')
    for key in ('num_clusters', 'proto_head'):
        del cfg.model[key]
    cfg.model.type = 'MoCo'
    del cfg.default_hooks['clustering']
    cfg.default_hooks.unique_shares = dict(
        type='UniqueSharesHook', pipeline=PLAIN
    )
    with pytest.raises(ValueError, match='a MoCo has no prototypes'):
        Runner.from_cfg(cfg).train()
