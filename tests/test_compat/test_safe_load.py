# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Checkpoints that mmengine wrote are read and resumed, on any torch."""

import os
import pickle
from pathlib import Path

import mmengine.runner.checkpoint as checkpoint_module
import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader, Runner
from mmengine.utils import digit_version

from pauc_mm.checkpoints.file import read_file
from pauc_mm.checkpoints.weights import read_weights
from pauc_mm.compat import install
from tests.helpers import run_cfg

needs_it = pytest.mark.skipif(
    digit_version(torch.__version__) < digit_version('2.6'),
    reason='this torch loads whole pickles',
)


@pytest.fixture(scope='module')
def unguarded(tmp_path_factory):
    """Checkpoint of two epochs as mmengine writes it, with its objects."""
    folder = tmp_path_factory.mktemp('unguarded')
    cfg = run_cfg(folder, max_epochs=2)
    cfg.param_scheduler[0].T_max = 3  # of the run that goes on
    cfg.default_hooks.pop('checkpoint_guard')
    Runner.from_cfg(cfg).train()
    return folder / 'epoch_2.pth'


def load(path):
    return CheckpointLoader.load_checkpoint(str(path), 'cpu', logger='silent')


@needs_it
def test_torch_alone_refuses_it(unguarded):
    with pytest.raises(pickle.UnpicklingError, match='HistoryBuffer|getattr'):
        torch.load(unguarded)


def test_all_of_it_is_read(unguarded, monkeypatch):
    # As in a process that has not made a history buffer yet
    monkeypatch.setattr(HistoryBuffer, '_statistics_methods', {})
    content = load(unguarded)
    truth = torch.load(unguarded, weights_only=False)
    assert content['meta'] == truth['meta']
    assert content['state_dict'].keys() == truth['state_dict'].keys()
    for name, value in truth['state_dict'].items():
        assert torch.equal(content['state_dict'][name], value)
    scalars = truth['message_hub']['log_scalars']
    for name, history in scalars.items():
        own = content['message_hub']['log_scalars'][name]
        np.testing.assert_array_equal(own.data, history.data)
        assert own.statistics('mean') == history.statistics('mean')
    assert 'train/loss' in scalars


def test_fine_tuning_reads_its_backbone(unguarded):
    weights = read_weights(str(unguarded), 'backbone.')
    truth = torch.load(unguarded, weights_only=False)['state_dict']
    assert weights
    for name, value in weights.items():
        assert torch.equal(value, truth[f'backbone.{name}'])


def test_a_run_goes_on_from_it_with_its_history(unguarded, tmp_path):
    cfg = run_cfg(
        tmp_path, max_epochs=3, resume=True, load_from=str(unguarded)
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.epoch == 3
    losses, _ = runner.message_hub.log_scalars['train/loss'].data
    assert len(losses) == runner.iter


@pytest.mark.parametrize(
    'code', [np.int64(3), np.float32(0.5), np.bool_(1), np.str_('é')]
)
def test_numbers_of_numpy_are_read(tmp_path, code):
    grid = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    torch.save(
        dict(
            best=code,
            some=np.arange(3),
            nested=[(grid, '>f4')],
            none=np.zeros((0, 4)),
        ),
        tmp_path / 'a.pth',
    )
    content = load(tmp_path / 'a.pth')
    np.testing.assert_array_equal(content['nested'][0][0], grid)
    assert content['none'].shape == (0, 4)
    assert content['best'] == code and type(content['best']) is type(code)
    np.testing.assert_array_equal(content['some'], [0, 1, 2])


class Pickled:
    """Pickles as a call, and perhaps a state."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced

    def __call__(self):
        """Be callable, so that it can be the function of another."""


@needs_it
def test_code_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    call = Pickled(os.mkdir, ('made',))
    torch.save(dict(state_dict={}, more=call), 'a.pth')
    with pytest.raises(RuntimeError, match='mkdir.*--trust-checkpoint'):
        load('a.pth')
    assert not os.path.exists('made')


POINTER = dict(typestr='|u1', shape=(8,), data=(0x41414141, True), version=3)


@needs_it
@pytest.mark.parametrize(
    'bad',
    [
        Pickled(getattr, (HistoryBuffer, '__init__')),
        Pickled(getattr, (np.ndarray, 'tofile')),
        # What numpy would take for an array at any place in memory
        Pickled(HistoryBuffer, ([1], [1]), dict(__array_interface__=POINTER)),
        Pickled(HistoryBuffer, ([1], [1]), dict(_log_history=POINTER)),
        np.array([dict(a=1)], dtype=object),
        # Fewer bytes than a number has
        Pickled(np.float64(0).__reduce__()[0], (np.dtype('f8'), b'few')),
        np.zeros(2, dtype=[('a', 'f4')]),
        np.array(['2026-11-23'], dtype='datetime64[D]'),
    ],
)
def test_nothing_else_is_made(tmp_path, bad):
    torch.save(dict(state_dict={}, more=bad), tmp_path / 'a.pth')
    with pytest.raises(RuntimeError, match='was not loaded'):
        load(tmp_path / 'a.pth')


@needs_it
def test_a_file_does_not_change_the_statistics(tmp_path):
    state = dict(
        _log_history=np.array([1.0, 3.0]),
        _count_history=np.ones(2),
        max_length=9,
        statistics_methods=dict(mean=HistoryBuffer.min),
    )
    torch.save(
        dict(more=Pickled(HistoryBuffer, (), state)), tmp_path / 'a.pth'
    )
    content = load(tmp_path / 'a.pth')['more']
    assert content.statistics('mean') == 2
    assert HistoryBuffer([1, 3], [1, 1]).statistics('mean') == 2


@needs_it
def test_what_others_allow_is_not_mixed_with_it(unguarded):
    # A usual way around torch's refusal; the real history buffer would take
    # the records of its methods for methods.
    mine = [HistoryBuffer, (getattr, 'builtins.getattr'), np.ndarray, np.dtype]
    methods = dict(HistoryBuffer._statistics_methods)
    with torch.serialization.safe_globals(mine):
        allowed = torch.serialization.get_safe_globals()
        content = load(unguarded)
        assert set(torch.serialization.get_safe_globals()) == set(allowed)
    assert HistoryBuffer._statistics_methods == methods
    loss = content['message_hub']['log_scalars']['train/loss']
    assert loss.statistics('min') == min(loss.data[0])


# Each makes a folder where the names are looked up as they are.
CHAINS = {
    'a function': lambda: Pickled(os.mkdir, ('made',)),
    'eval': lambda: Pickled(eval, ("__import__('os').mkdir('made')",)),
    'getattr of a class': lambda: Pickled(
        Pickled(getattr, (Path, 'mkdir')), (Path('made'),)
    ),
    'a method by its class': lambda: Pickled(Path.mkdir, (Path('made'),)),
}


def local(path):
    return load(path)


def reader(path):
    return read_file(path)


def address(path):
    return checkpoint_module.load_url(path.as_uri(), str(path.parent / 'hub'))


@needs_it
@pytest.mark.parametrize('read', [local, reader, address])
@pytest.mark.parametrize('chain', CHAINS)
def test_a_hostile_file_runs_nothing_whatever_is_allowed(
    chain, read, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    torch.save(dict(state_dict={}, more=CHAINS[chain]()), 'a.pth')
    allowed = [getattr, eval, os.mkdir, Path, type(Path('a')), Path.mkdir]
    allowed += [(getattr, 'pathlib.Path'), (os.mkdir, 'posix.mkdir')]
    with torch.serialization.safe_globals(allowed):
        before = set(torch.serialization.get_safe_globals())
        with pytest.raises((RuntimeError, ValueError)):
            read(tmp_path / 'a.pth')
        assert set(torch.serialization.get_safe_globals()) == before
    assert not os.path.exists('made')


@needs_it
def test_a_download_is_read_with_its_history(unguarded):
    content = address(unguarded)
    loss = content['message_hub']['log_scalars']['train/loss']
    assert loss.statistics('min') == min(loss.data[0])


@pytest.mark.parametrize('content', [b'version https://git-lfs', b''])
def test_a_damaged_file_is_not_called_unsafe(tmp_path, content):
    path = tmp_path / 'a.pth'
    path.write_bytes(content)
    with pytest.raises(Exception) as caught:
        load(path)
    assert 'trust-checkpoint' not in str(caught.value)


def test_installed_once():
    before = CheckpointLoader._schemes['']
    install()
    assert CheckpointLoader._schemes[''] is before
