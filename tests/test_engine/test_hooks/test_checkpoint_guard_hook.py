# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import logging
import os
import re
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim import OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch import nn

from pauc_mm.compat import AtomicBackend, from_plain, to_plain
from pauc_mm.engine.hooks import (
    CheckpointGuardHook,
    checkpoint_guard_hook,
)
from tests.helpers import run_cfg


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """Work folder of a run of three epochs."""
    folder = tmp_path_factory.mktemp('finished')
    Runner.from_cfg(run_cfg(folder, max_epochs=3)).train()
    return folder


@pytest.fixture
def work_dir(finished, tmp_path):
    import shutil

    shutil.copytree(finished, tmp_path / 'run', dirs_exist_ok=True)
    target = tmp_path / 'run'
    for epoch in (1, 2, 3):  # copying must not change which is the newest
        os.utime(target / f'epoch_{epoch}.pth', (epoch, epoch))
    (target / 'last_checkpoint').write_text(str(target / 'epoch_3.pth'))
    return target


def resuming(work_dir, **changes):
    cfg = run_cfg(work_dir, max_epochs=3, resume=True, **changes)
    runner = Runner.from_cfg(cfg)
    lines = []
    runner.logger.warning = lines.append
    return runner, lines


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def test_checkpoints_load_with_weights_only(finished):
    checkpoint = torch.load(finished / 'epoch_3.pth', weights_only=True)
    assert checkpoint['meta']['epoch'] == 3
    # the versions by which torch converts old states
    assert checkpoint['state_dict']._metadata['']['version'] == 1
    assert checkpoint['clustering']['assignments'].dtype == torch.int32
    hub = checkpoint['message_hub']['log_scalars']
    assert 'train/loss_protonce' in hub


def test_log_history_survives(work_dir):
    runner, _ = resuming(work_dir)
    runner.train()
    history = runner.message_hub.log_scalars['train/loss']
    assert isinstance(history, HistoryBuffer)
    assert len(history.data[0]) == 9  # three epochs of three steps


def test_truncated_last_checkpoint_is_passed_over(work_dir):
    truncate(work_dir / 'epoch_3.pth')
    runner, lines = resuming(work_dir)
    runner.train()
    assert runner.epoch == 3
    message = '\n'.join(str(line) for line in lines)
    assert 'epoch_3.pth (is truncated' in message
    assert 'Resuming from' in message and 'epoch_2.pth' in message


def fill_with_nan(path):
    checkpoint = torch.load(path, weights_only=True)
    checkpoint['state_dict']['backbone.layers.0.conv.weight'][0] = np.nan
    torch.save(checkpoint, path)


def write_noise(path):
    path.write_bytes(b'\x80\x02 and then noise')


@pytest.mark.parametrize(
    'spoil, problem',
    [(fill_with_nan, 'NaN .*layers.0.conv.weight'), (write_noise, 'damaged')],
)
def test_unusable_checkpoints_are_passed_over(work_dir, spoil, problem):
    stamp = (work_dir / 'epoch_3.pth').stat()
    spoil(work_dir / 'epoch_3.pth')
    os.utime(work_dir / 'epoch_3.pth', (stamp.st_atime, stamp.st_mtime))
    runner, lines = resuming(work_dir)
    runner.call_hook('before_run')
    assert runner._load_from.endswith('epoch_2.pth')
    assert re.search(rf'epoch_3.pth .*{problem}.*epoch_2.pth', str(lines[0]))
    named = dict(load_from=str(work_dir / 'epoch_3.pth'))
    runner, _ = resuming(work_dir, **named)
    with pytest.raises(RuntimeError, match=rf'epoch_3.pth .*{problem}'):
        runner.train()


def test_nothing_to_resume_starts_anew(tmp_path):
    runner, _ = resuming(tmp_path)
    runner.train()
    assert runner.epoch == 3


@pytest.mark.parametrize(
    'state_dict',
    [
        {'foo.weight': torch.zeros(2)},
        {'backbone.layers.0.conv.weight': torch.zeros(8, 3, 3, 3)},
    ],
)
def test_weights_of_another_model_are_not_loaded(tmp_path, state_dict):
    # mmengine would warn and train on from random weights
    torch.save(dict(state_dict=state_dict), tmp_path / 'other.pth')
    cfg = run_cfg(tmp_path, load_from=str(tmp_path / 'other.pth'))
    with pytest.raises(RuntimeError, match='of the 10 tensors of the backb'):
        Runner.from_cfg(cfg).train()


def test_a_file_that_is_no_checkpoint_is_named(tmp_path):
    (tmp_path / 'notes.pth').write_text('hello')
    cfg = run_cfg(tmp_path, load_from=str(tmp_path / 'notes.pth'))
    with pytest.raises(RuntimeError, match='cannot be used: .*notes.pth'):
        Runner.from_cfg(cfg).train()


def test_weights_of_a_finished_run_start_a_new_one(work_dir, tmp_path):
    cfg = run_cfg(tmp_path, load_from=str(work_dir / 'epoch_3.pth'))
    cfg.model.num_clusters = [3, 5]  # prototypes are not taken over
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.epoch == 4
    assert [len(c) for c in runner.model.prototypes.centroids] == [3, 5]


def test_a_named_checkpoint_must_exist_and_be_whole(work_dir):
    runner, _ = resuming(work_dir, load_from=str(work_dir / 'nothing.pth'))
    with pytest.raises(FileNotFoundError, match='nothing.pth'):
        runner.train()
    truncate(work_dir / 'epoch_2.pth')
    runner, _ = resuming(work_dir, load_from=str(work_dir / 'epoch_2.pth'))
    with pytest.raises(RuntimeError, match='epoch_2.pth .is truncated'):
        runner.train()


@pytest.mark.parametrize(
    'changes, error, message',
    [
        (
            {'model.neck.out_channels': 4, 'model.feat_dim': 4},
            RuntimeError,
            r'another model: 5 of another shape.*neck.fc.bias',
        ),
        (
            {
                'model.backbone.channels': (8, 16, 16),
                'model.backbone.strides': (1, 2, 1),
            },
            RuntimeError,
            r'missing: backbone.layers.2',
        ),
        ({'model.num_clusters': [4, 7]}, ValueError, r'written with \[4, 6\]'),
        (
            {'train_dataloader.dataset.num_images': 64},
            ValueError,
            r'another training set \(samples: 48, now 64',
        ),
        (
            {'train_dataloader.dataset.seed': 1},
            ValueError,
            'another training set',
        ),
    ],
)
def test_resuming_with_another_setup_is_refused(
    work_dir, changes, error, message
):
    runner, _ = resuming(work_dir, **changes)
    with pytest.raises(error, match=message):
        runner.train()


def test_a_checkpoint_of_moco_is_not_resumed_as_pcl(work_dir):
    # its parameters have the same names and shapes
    path = work_dir / 'epoch_3.pth'
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint['clustering']
    torch.save(checkpoint, path)
    runner, _ = resuming(work_dir)
    with pytest.raises(ValueError, match='not written by PCL or PAUC'):
        runner.train()


def test_plain_types_round_trip():
    buffer = HistoryBuffer([1.0, 2.5], [1, 2], 10)
    state = dict(
        a=np.arange(3), b=np.float64(0.5), c=[buffer, (1, 'x')], d={'e': None}
    )
    plain = to_plain(state)
    assert torch.equal(plain['a'], torch.arange(3))
    assert plain['b'] == 0.5 and type(plain['b']) is float
    assert plain['c'][1] == (1, 'x') and plain['d'] == {'e': None}
    back = from_plain(dict(x=plain['c'][0]))['x']
    assert back.max_length == 10
    assert back.mean() == buffer.mean() == 3.5 / 3
    assert np.array_equal(back.data[0], buffer.data[0])


def test_mmengine_alone_cannot_resume(tmp_path):
    # The bug this hook is for; if this fails, it is fixed upstream.
    cfg = run_cfg(tmp_path, max_epochs=2)
    del cfg.default_hooks['checkpoint_guard']
    Runner.from_cfg(cfg).train()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        if tuple(map(int, torch.__version__.split('.')[:2])) < (2, 6):
            pytest.skip('torch before 2.6 unpickles anything')
        with pytest.raises(Exception, match='[Ww]eights.only'):
            torch.load(tmp_path / 'epoch_2.pth', weights_only=True)


def test_atomic_backend_leaves_the_old_file_when_writing_fails(
    tmp_path, monkeypatch
):
    backend, path = AtomicBackend(), tmp_path / 'new' / 'file.pth'
    backend.put(b'old', path)
    path.with_name('old').touch()
    (path.parent / '.file.pth.part-1').write_bytes(b'left over by a kill')

    def full(fd):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', full)
        with pytest.raises(OSError, match=rf'No space left.*: .{path}') as e:
            backend.put(b'newer', path)
        assert e.value.__suppress_context__  # one traceback
    assert path.read_bytes() == b'old'
    backend.remove(path.with_name('old'))  # mmengine does so before it saves
    assert path.with_name('old').is_file()
    backend.put(b'newest', path)
    assert path.read_bytes() == b'newest'
    assert [p.name for p in path.parent.iterdir()] == ['file.pth']


@pytest.mark.parametrize('entry', ['optimizer', 'meta', 'message_hub'])
def test_resuming_from_half_of_a_checkpoint(work_dir, entry):
    path = work_dir / 'epoch_3.pth'
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint[entry]
    torch.save(checkpoint, path)
    runner, _ = resuming(work_dir)
    with pytest.raises(RuntimeError, match=f'has no {entry}.*load_from'):
        runner.train()


@pytest.mark.parametrize(
    'loop, done, length, interval, begin, made',
    [
        (EpochBasedTrainLoop, 3, 9, 1, 1, True),
        (EpochBasedTrainLoop, 4, 9, 2, 1, True),
        (EpochBasedTrainLoop, 3, 9, 2, 1, False),
        (EpochBasedTrainLoop, 9, 9, 2, 1, True),  # the last is evaluated
        (EpochBasedTrainLoop, 2, 9, 1, 3, False),
        (EpochBasedTrainLoop, 3, 9, 1, 3, True),
        (EpochBasedTrainLoop, 0, 9, 1, 0, False),
        (IterBasedTrainLoop, 20, 90, 10, 1, True),
        (IterBasedTrainLoop, 25, 90, 10, 1, False),
        (IterBasedTrainLoop, 90, 90, 20, 1, True),
    ],
)
def test_a_resumed_run_makes_the_evaluation_that_was_due(
    loop, done, length, interval, begin, made
):
    steps = loop is IterBasedTrainLoop
    loop, called = loop.__new__(loop), []
    loop.val_interval, loop.val_begin = interval, begin
    runner = SimpleNamespace(
        _resume=True,
        train_loop=loop,
        val_loop=SimpleNamespace(run=lambda: called.append('evaluated')),
        model=SimpleNamespace(train=lambda: called.append('train')),
        logger=logging.getLogger(__name__),
        epoch=1 if steps else done,
        max_epochs=2 if steps else length,
        iter=done if steps else 7 * done,
        max_iters=length if steps else 7 * length,
    )
    CheckpointGuardHook().before_train(runner)
    assert called == (['evaluated', 'train'] if made else [])
    for changes in (dict(_resume=False), dict(val_loop=None)):
        called.clear()
        CheckpointGuardHook().before_train(
            SimpleNamespace(**{**vars(runner), **changes})
        )
        assert not called


@pytest.mark.parametrize('resume', [False, True])
@pytest.mark.parametrize('there', [False, True])
def test_the_last_checkpoint_is_for_runs_that_resume(
    finished, tmp_path, resume, there
):
    runner = SimpleNamespace(
        _load_from=None,
        _resume=resume,
        work_dir=str(finished if there else tmp_path),
        logger=logging.getLogger(__name__),
    )
    CheckpointGuardHook().before_run(runner)
    chosen = str(finished / 'epoch_3.pth') if there and resume else None
    assert runner._load_from == chosen
    # With nothing to resume it is a new run, for other hooks too.
    assert runner._resume == (there and resume)
    runner._resume, runner._load_from = resume, str(finished / 'epoch_2.pth')
    CheckpointGuardHook().before_run(runner)
    assert runner._load_from.endswith('epoch_2.pth')
    assert runner._resume == resume


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        layers = [nn.Linear(1, 1) for _ in range(4)]
        self.backbone = nn.Sequential(*layers, nn.BatchNorm1d(1))
        self.head = nn.Linear(1, 1)


def plain_runner(model, **changes):
    parts = dict(
        model=model,
        _resume=False,
        optim_wrapper=OptimWrapper.__new__(OptimWrapper),
        train_loop=EpochBasedTrainLoop.__new__(EpochBasedTrainLoop),
        train_dataloader=SimpleNamespace(dataset='images'),
        param_schedulers=[],
    )
    return SimpleNamespace(**{**parts, **changes})


# The backbone has 12 tensors and a counter, the head 2.
WEIGHT = 'backbone.{}.weight'


@pytest.mark.parametrize(
    'training, lost, message',
    [
        (True, (), None),
        (True, ('head.weight', WEIGHT.format(0)), None),  # 11 of 12
        (
            True,
            (WEIGHT.format(0), WEIGHT.format(1)),
            'Only 10 of the 12 tensors of the backbone .*90% must be',
        ),
        (False, ('backbone.4.num_batches_tracked',), None),
        (
            False,
            ('head.weight',),
            'Only 13 of the 14 tensors of the model .*100% must.*head.weight',
        ),
        (False, (WEIGHT.format(0),), 'Only 13 of the 14'),
    ],
)
@pytest.mark.parametrize('prefix', ['', 'module.'])
@pytest.mark.parametrize('whole', [True, False])
def test_weights_for_a_training_and_for_a_test(
    training, lost, message, prefix, whole
):
    model = Network()
    state = {
        f'{prefix}{k}': v
        for k, v in model.state_dict().items()
        if k not in lost
    }
    runner = plain_runner(model)
    if not training:
        runner.optim_wrapper = None
    checkpoint = dict(state_dict=state) if whole else state
    hook = CheckpointGuardHook()
    if message is None:
        hook.after_load_checkpoint(runner, checkpoint)
        return
    with pytest.raises(RuntimeError, match=message):
        hook.after_load_checkpoint(runner, checkpoint)


def test_a_test_of_what_was_learned_needs_the_backbone_alone(monkeypatch):
    monkeypatch.setattr(checkpoint_guard_hook, 'BaseSelfSupervisor', Network)
    model = Network()
    model.other_backbone = nn.Linear(1, 1)
    state = model.state_dict()
    runner = plain_runner(model, optim_wrapper=None)
    del state['head.weight'], state['other_backbone.weight']
    CheckpointGuardHook().after_load_checkpoint(runner, dict(state_dict=state))
    del state['backbone.0.weight']
    with pytest.raises(RuntimeError, match='Only 11 of the 12'):
        CheckpointGuardHook().after_load_checkpoint(
            runner, dict(state_dict=state)
        )


@pytest.mark.parametrize(
    'meta, clustered, ends',
    [
        (dict(images='same'), True, None),
        ({}, True, None),  # of an older version
        (dict(images='other'), True, 'refused'),
        (dict(images='other'), False, 'noted'),
        (dict(images='other'), None, 'noted'),  # no prototypes
    ],
)
def test_the_images_of_a_checkpoint(monkeypatch, meta, clustered, ends):
    calls = []
    for name, spy in (
        ('fingerprint', lambda images, contents: 'same' * contents),
        ('check_same_images', calls.append),
        ('check_same_steps', lambda *args: calls.append(args)),
    ):
        monkeypatch.setattr(checkpoint_guard_hook, name, spy)
    model = Network()
    state = model.state_dict()
    if clustered is not None:
        model.prototypes = nn.Identity()
        model.prototypes.needs_e_step = clustered

    class Loader(list):
        dataset = 'images'

    checkpoint = dict(
        state_dict=state, meta=meta, optimizer={}, message_hub={}
    )
    runner = plain_runner(
        model, _resume=True, train_dataloader=Loader('abc'), logger=None
    )
    runner.param_schedulers = ['one']
    CheckpointGuardHook().after_load_checkpoint(runner, checkpoint)
    assert calls[0] == (meta, 3, ['one'])
    assert calls[1:] == ([bool(clustered)] if ends else [])
    # A loop of iterations has no epochs to compare.
    runner.train_loop = IterBasedTrainLoop.__new__(IterBasedTrainLoop)
    CheckpointGuardHook().after_load_checkpoint(runner, checkpoint)
    assert (meta, 3, ['one']) not in calls[1:]
    del checkpoint['state_dict']
    with pytest.raises(RuntimeError, match='has no state_dict: '):
        CheckpointGuardHook().after_load_checkpoint(runner, checkpoint)


def test_counters_of_a_checkpoint_that_is_resumed_are_needed():
    model = Network()
    state = model.state_dict()
    del state['backbone.4.num_batches_tracked']
    with pytest.raises(RuntimeError, match='1 missing: .*num_batches_tr'):
        CheckpointGuardHook().after_load_checkpoint(
            plain_runner(model, _resume=True),
            dict(state_dict=state, meta={}, optimizer={}, message_hub={}),
        )


def test_images_without_numbers_and_a_digest_that_is_made_once(monkeypatch):
    calls = []

    def fingerprint(images, contents):
        calls.append(images)
        raise ValueError('not numbered')

    monkeypatch.setattr(checkpoint_guard_hook, 'fingerprint', fingerprint)

    class Loader(list):
        dataset = 'images'

    runner = plain_runner(None, train_dataloader=Loader('abc'))
    hook = CheckpointGuardHook()
    for _ in range(2):
        checkpoint = dict(meta={}, number=np.float64(0.5))
        hook.before_save_checkpoint(runner, checkpoint)
        assert checkpoint['meta'] == dict(images='', epoch_steps=3)
        assert type(checkpoint['number']) is float
    runner.train_loop = IterBasedTrainLoop.__new__(IterBasedTrainLoop)
    hook.before_save_checkpoint(runner, checkpoint := dict(meta={}))
    assert checkpoint['meta'] == dict(images='')  # it has no epochs
    assert calls == ['images']


def test_a_state_of_an_older_version_is_upgraded_before_it_is_compared():
    class Renamed(Network):
        def upgrade_state_dict(self, state):
            for name in [k for k in state if k.startswith('old.')]:
                state[f'backbone.{name[4:]}'] = state.pop(name)

    model = Renamed()
    for whole in (True, False):
        state = {
            k.replace('backbone.', 'old.'): v
            for k, v in model.state_dict().items()
        }
        CheckpointGuardHook().after_load_checkpoint(
            plain_runner(nn.DataParallel(model)),
            dict(state_dict=state) if whole else state,
        )
        assert state.keys() == model.state_dict().keys()
