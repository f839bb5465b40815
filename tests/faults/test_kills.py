# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A killed run, resumed, ends as the run that nobody stopped: bit for bit."""

import os
import signal
import warnings
from pathlib import Path

import pytest
import torch

from tests.helpers import _forkserver, _rank, assert_same, run_cfg

EPOCHS = 4
PARTS = ('state_dict', 'optimizer', 'param_schedulers', 'clustering')
WORKERS = {'train_dataloader.num_workers': 2}
EVERY_OTHER = {'default_hooks.clustering.interval': 2}
BANK = {
    'default_hooks.clustering.features': 'momentum_bank',
    'default_hooks.clustering.kmeans.warm_start': True,
    'train_dataloader.batch_size': 15,
}
SHARDED = {'default_hooks.clustering.kmeans.type': 'ShardedKMeans'}
ONE_KEPT = {'default_hooks.checkpoint.max_keep_ckpts': 1}
NOT_ATOMIC = {'default_hooks.checkpoint.backend_args': None}


# ---- places: from here on the process gets the signal ----------------------
def iteration(runner, stop):
    model, original = runner.model, runner.model.train_step

    def step(*args, **kwargs):
        if runner.iter == 7:  # in the middle of the third epoch
            stop()
        return original(*args, **kwargs)

    model.train_step = step


def in_the_e_step(runner, name, at, stop):
    (hook,) = (h for h in runner.hooks if type(h).__name__ == 'ClusteringHook')
    owner = hook.kmeans if name == 'fit' else hook
    original, calls = getattr(owner, name), []

    def replaced(*args, **kwargs):
        calls.append(1)
        result = original(*args, **kwargs)
        if len(calls) == at:
            stop()
        return result

    setattr(owner, name, replaced)


def embedding(runner, stop):
    in_the_e_step(runner, '_embed', 2, stop)


def e_step(runner, stop):
    from mmengine.dist import get_world_size

    # The second clustering of the second E-step; ranks share them out, or
    # make all of them together, after a trial.
    sharded = runner.cfg.default_hooks.clustering.kmeans.type[0] == 'S'
    at = 5 if sharded else 4 // get_world_size()
    in_the_e_step(runner, 'fit', at, stop)


def save(runner, stop):
    from mmengine.fileio import LocalBackend

    from pauc_mm.compat import atomic_backend

    def write_half(fd):
        if any(Path(runner.work_dir).glob('.epoch_3.pth.part-*')):
            os.truncate(fd, os.fstat(fd).st_size // 2)
            stop()

    original = LocalBackend.put

    def put(self, obj, filepath):
        # mmengine's own backend leaves half a file under the final name
        if str(filepath).endswith('epoch_3.pth'):
            original(self, obj[: len(obj) // 2], filepath)
            stop()
        original(self, obj, filepath)

    atomic_backend.os.fsync, LocalBackend.put = write_half, put


# ---- runs ------------------------------------------------------------------
def method_cfg(method, work_dir, changes):
    cfg = run_cfg(work_dir, max_epochs=EPOCHS)
    if method != 'PAUC':
        from tests.test_models import test_carp, test_cld

        del cfg.default_hooks['clustering']
        mixture = dict(prototypes=test_carp.MIXTURE)
        cfg.model = {
            'CARP': test_carp.carp_cfg,
            'decoupled CARP': lambda: test_carp.carp_cfg(**mixture),
            'CLD': test_cld.cld_cfg,
        }[method]()
        if method == 'CLD':  # two queries and a key
            cfg.train_dataloader.dataset.pipeline[0].num_views = 3
    cfg.merge_from_dict(changes)
    return cfg


def train(method, work_dir, changes, resume=False, place=None, number=None):
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    from mmengine.dist import get_rank, get_world_size
    from mmengine.runner import Runner

    from pauc_mm.engine.launch import prepare_launch

    cfg = method_cfg(method, work_dir, changes)
    cfg.resume = resume
    if get_world_size() > 1:
        cfg.launcher = 'pytorch'
        cfg.train_dataloader.batch_size = 8
        prepare_launch(cfg)
    runner = Runner.from_cfg(cfg)
    # The last rank, but the first one writes the checkpoints.
    rank = 0 if place is save else get_world_size() - 1
    if place and get_rank() == rank:
        place(runner, lambda: os.kill(os.getpid(), number))
    runner.train()


def run(method, work_dir, changes=None, *sabotage, ranks=1):
    """Run in processes of their own; returns their exit codes."""
    args = (method, work_dir, changes or {}, *sabotage)
    folder = work_dir / 'ranks'
    folder.mkdir(exist_ok=True)
    (folder / 'rendezvous').unlink(missing_ok=True)
    processes = [
        _forkserver.Process(target=train, args=args)
        if ranks == 1
        else _forkserver.Process(
            target=_rank, args=(train, rank, ranks, folder, args)
        )
        for rank in range(ranks)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


def final(work_dir):
    return torch.load(work_dir / f'epoch_{EPOCHS}.pth', weights_only=True)


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    runs = {}

    def get(method, changes, ranks):
        key = str((method, sorted(changes.items()), ranks))
        if key not in runs:
            folder = runs[key] = tmp_path_factory.mktemp('whole')
            assert run(method, folder, changes, ranks=ranks) == [0] * ranks
        return final(runs[key])

    return get


KILL, TERM, INT = signal.SIGKILL, signal.SIGTERM, signal.SIGINT
ROWS = [
    ('PAUC', iteration, KILL, 1, {}),
    ('PAUC', iteration, TERM, 1, WORKERS),
    ('PAUC', iteration, INT, 1, {}),
    ('PAUC', embedding, KILL, 1, {}),
    ('PAUC', embedding, TERM, 1, {}),
    ('PAUC', e_step, KILL, 1, {}),
    ('PAUC', e_step, TERM, 1, BANK),
    ('PAUC', e_step, INT, 1, {}),
    ('PAUC', save, KILL, 1, {}),
    ('PAUC', save, TERM, 1, {}),
    ('PAUC', save, INT, 1, {}),
    ('PAUC', iteration, KILL, 2, {}),
    ('PAUC', e_step, KILL, 2, {}),
    ('PAUC', e_step, TERM, 2, SHARDED),
    ('PAUC', e_step, KILL, 2, {**SHARDED, **BANK}),
    ('PAUC', save, KILL, 2, {}),
    ('CARP', iteration, KILL, 1, {}),
    ('CARP', save, TERM, 1, {}),
    ('CARP', iteration, INT, 2, {}),
    ('decoupled CARP', iteration, KILL, 1, {}),
    ('CLD', iteration, TERM, 1, {}),
    ('CLD', save, KILL, 1, {}),
    ('PAUC', iteration, KILL, 1, WORKERS),
    ('PAUC', iteration, KILL, 1, EVERY_OTHER),
    ('PAUC', iteration, KILL, 1, BANK),
    ('PAUC', iteration, KILL, 1, {**BANK, **EVERY_OTHER}),
    ('PAUC', save, KILL, 1, ONE_KEPT),
    ('PAUC', save, KILL, 1, NOT_ATOMIC),
]


def name_of(value):
    if isinstance(value, dict):
        return ','.join(key.rpartition('.')[2] for key in value) or 'plain'
    return getattr(value, 'name', getattr(value, '__name__', None))


@pytest.mark.slow
@pytest.mark.verdict('recovers')
@pytest.mark.parametrize(
    'method, place, number, ranks, changes', ROWS, ids=name_of
)
def test_killed_and_resumed_equals_uninterrupted(
    tmp_path, uninterrupted, method, place, number, ranks, changes
):
    settings = {k: v for k, v in changes.items() if 'checkpoint' not in k}
    whole = uninterrupted(method, settings, ranks)
    killed = run(method, tmp_path, changes, False, place, number, ranks=ranks)
    # Python ends with 1 after KeyboardInterrupt, and so does another rank.
    assert all(killed) and (number == INT or -number in killed)
    # The checkpoint before is there.
    assert list(tmp_path.glob('epoch_*.pth'))
    assert not (tmp_path / f'epoch_{EPOCHS}.pth').exists()
    resumed = run(method, tmp_path, changes, True, ranks=ranks)
    assert resumed == [0] * ranks
    resumed = final(tmp_path)
    for part in PARTS[: 4 if method == 'PAUC' else 3]:
        assert_same(whole[part], resumed[part], part)
    assert not list(tmp_path.glob('.epoch_*'))  # no half-written left-overs


@pytest.mark.slow
@pytest.mark.verdict('recovers')
def test_a_run_without_a_seed_resumes_exactly(tmp_path):
    # The sampler is built before the checkpoint tells the seed.
    changes = {'randomness.seed': None}
    assert run('PAUC', tmp_path, changes) == [0]
    whole = final(tmp_path)
    for epoch in (3, 4):
        (tmp_path / f'epoch_{epoch}.pth').unlink()
    assert run('PAUC', tmp_path, changes, True) == [0]
    assert_same(whole['state_dict'], final(tmp_path)['state_dict'])
