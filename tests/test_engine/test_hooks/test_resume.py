# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A killed run, resumed, ends as the run that nobody stopped: bit for bit."""

import os
import signal
import warnings
from pathlib import Path

import pytest
import torch

from tests.helpers import _forkserver, run_cfg

EPOCHS = 4


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_the_middle_of_an_epoch(runner):
    model, original = runner.model, runner.model.train_step

    def step(*args, **kwargs):
        if runner.epoch == 2 and runner.iter == 7:
            die()
        return original(*args, **kwargs)

    model.train_step = step


def die_in_the_e_step(runner):
    for hook in runner.hooks:
        if type(hook).__name__ == 'ClusteringHook':
            original = hook.kmeans.fit

            def fit(*args, original=original):
                if runner.epoch == 3:
                    die()
                return original(*args)

            hook.kmeans.fit = fit


def terminate_in_the_e_step(runner):
    """Terminate as a scheduler that takes the machine back."""
    (hook,) = (h for h in runner.hooks if type(h).__name__ == 'ClusteringHook')
    original, calls = hook.kmeans.fit, []

    def fit(*args, **kwargs):
        calls.append(1)
        if len(calls) == 4:  # the second clustering of the second E-step
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*args, **kwargs)

    hook.kmeans.fit = fit


def die_while_writing_epoch_3(runner):
    from pauc_mm.compat import atomic_backend

    def write_half(fd):
        if any(Path(runner.work_dir).glob('.epoch_3.pth.part-*')):
            os.truncate(fd, os.fstat(fd).st_size // 2)
            die()

    atomic_backend.os.fsync = write_half


def die_while_writing_epoch_3_in_place(runner):
    # mmengine's own backend leaves half a file under the final name
    from mmengine.fileio import LocalBackend

    original = LocalBackend.put

    def put(self, obj, filepath):
        if str(filepath).endswith('epoch_3.pth'):
            original(self, obj[: len(obj) // 2], filepath)
            die()
        original(self, obj, filepath)

    LocalBackend.put = put


def train(work_dir, changes, resume, sabotage=None):
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    from mmengine.runner import Runner

    cfg = run_cfg(work_dir, max_epochs=EPOCHS, **changes)
    cfg.resume = resume
    runner = Runner.from_cfg(cfg)
    if sabotage:
        sabotage(runner)
    runner.train()


def run(work_dir, changes=None, resume=False, sabotage=None):
    process = _forkserver.Process(
        target=train, args=(work_dir, changes or {}, resume, sabotage)
    )
    process.start()
    process.join()
    return process.exitcode


def final(work_dir):
    return torch.load(
        Path(work_dir) / f'epoch_{EPOCHS}.pth', weights_only=True
    )


def assert_same(left, right, where=''):
    if isinstance(left, torch.Tensor):
        assert torch.equal(left, right), where
    elif isinstance(left, dict):
        assert left.keys() == right.keys(), where
        for key in left:
            assert_same(left[key], right[key], f'{where}.{key}')
    elif isinstance(left, (list, tuple)):
        assert len(left) == len(right), where
        for i, (a, b) in enumerate(zip(left, right)):
            assert_same(a, b, f'{where}[{i}]')
    else:
        assert left == right, where


PARTS = ('state_dict', 'optimizer', 'param_schedulers', 'clustering')
WORKERS = {'train_dataloader.num_workers': 2}
EVERY_OTHER = {'default_hooks.clustering.interval': 2}
BANK = {
    'default_hooks.clustering.features': 'momentum_bank',
    'default_hooks.clustering.kmeans.warm_start': True,
    'train_dataloader.batch_size': 15,
}


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    runs = {}

    def get(changes):
        key = str(sorted(changes.items()))
        if key not in runs:
            runs[key] = tmp_path_factory.mktemp('whole')
            assert run(runs[key], changes) == 0
        return final(runs[key])

    return get


@pytest.mark.parametrize(
    'sabotage, changes',
    [
        (die_in_the_middle_of_an_epoch, {}),
        (die_in_the_middle_of_an_epoch, WORKERS),
        (die_in_the_middle_of_an_epoch, EVERY_OTHER),
        (die_in_the_middle_of_an_epoch, BANK),
        (die_in_the_middle_of_an_epoch, {**BANK, **EVERY_OTHER}),
        (die_in_the_e_step, {}),
        (terminate_in_the_e_step, {}),
        (terminate_in_the_e_step, BANK),
        (die_while_writing_epoch_3, {}),
        (
            die_while_writing_epoch_3,
            {'default_hooks.checkpoint.max_keep_ckpts': 1},
        ),
        (
            die_while_writing_epoch_3_in_place,
            {'default_hooks.checkpoint.backend_args': None},
        ),
    ],
)
@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(
    tmp_path, uninterrupted, sabotage, changes
):
    whole = uninterrupted(
        {k: v for k, v in changes.items() if 'checkpoint' not in k}
    )
    killed = run(tmp_path, changes, sabotage=sabotage)
    assert killed in (-signal.SIGKILL, -signal.SIGTERM)
    assert list(tmp_path.glob('epoch_*.pth'))  # the one before is there
    assert not (tmp_path / f'epoch_{EPOCHS}.pth').exists()
    assert run(tmp_path, changes, resume=True) == 0
    resumed = final(tmp_path)
    for part in PARTS:
        assert_same(whole[part], resumed[part], part)
    assert not list(tmp_path.glob('.epoch_*'))  # no half-written left-overs


def test_epochs_differ_from_each_other(uninterrupted, tmp_path):
    import random

    from pauc_mm.engine.hooks.epoch_seed_hook import EpochSeedHook

    class Runner:
        seed, epoch = 7, 0

    draws = []
    for Runner.epoch in range(3):
        EpochSeedHook().before_train_epoch(Runner)
        draws.append((random.random(), torch.rand(1).item()))
    assert len(set(draws)) == 3


def first_batches(work_dir, epochs=3):
    from mmengine.runner import Runner

    cfg = run_cfg(work_dir, max_epochs=epochs, **WORKERS)
    cfg.train_dataloader.sampler.shuffle = False  # the same images each time
    runner = Runner.from_cfg(cfg)
    batches, original = [], runner.model.train_step

    def step(data, *args, **kwargs):
        if runner.iter % 3 == 0:
            batches.append(data['inputs'][0].clone())
        return original(data, *args, **kwargs)

    runner.model.train_step = step
    runner.train()
    return batches


@pytest.mark.slow
def test_workers_augment_anew_in_every_epoch(tmp_path):
    # mmengine's own worker function gives them the same seed in each, which
    # the comparison with an uninterrupted run would not notice.
    batches = first_batches(tmp_path)
    assert len(batches) == 3
    assert not torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[1], batches[2])


@pytest.mark.slow
def test_a_run_without_a_seed_resumes_exactly(tmp_path):
    # The sampler is built before the checkpoint tells the seed.
    changes = {'randomness.seed': None}
    assert run(tmp_path, changes) == 0
    whole = final(tmp_path)
    for epoch in (3, 4):
        (tmp_path / f'epoch_{epoch}.pth').unlink()
    assert run(tmp_path, changes, resume=True) == 0
    assert_same(whole['state_dict'], final(tmp_path)['state_dict'])
