# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The quickstart's recipe and report, cut down to a few epochs, for real."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SHORT = """
_base_ = '{root}/configs/pauc_tiny_digits.py'
train_cfg = dict(max_epochs=4, val_interval=4)
default_hooks = dict(
    clustering=dict(warmup_epochs=2, interval=1), checkpoint=dict(interval=2)
)
"""


def python(*arguments):
    return subprocess.run(
        [sys.executable, '-W', 'ignore', *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('quickstart')
    config = folder / 'short.py'
    config.write_text(SHORT.format(root=ROOT.as_posix()))
    done = python(
        'tools/train.py', config, '--work-dir', folder / 'run', '--amp'
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return config, folder / 'run', done.stdout + done.stderr


@pytest.mark.program
def test_training_with_bf16_logs_every_loss_without_nan(trained):
    _, _, log = trained
    lines = [line for line in log.splitlines() if 'Epoch(train)' in line]
    assert len(lines) == 4
    for name in ('infonce', 'protonce', 'align', 'uniform', 'corr'):
        assert f'loss_{name}: ' in lines[-1]
        assert ('loss_' + name in lines[0]) is (name == 'infonce')
    assert 'nan' not in log.lower()
    assert log.count('Clustering K=25') == 2
    validation = next(line for line in log.splitlines() if '(val)' in line)
    assert 'knn/k20: 0.' in validation and 'nemd/value: ' in validation


@pytest.mark.program
def test_report_prints_the_table_and_draws_the_picture(trained):
    config, run, _ = trained
    report = ('tools/analysis/quickstart_report.py', '--config', config)
    first = python(*report, '--work-dir', run)
    assert first.returncode == 0, first.stderr[-2000:]
    stored = json.loads((run / 'quickstart_report.json').read_text())
    for state in ('untrained', 'trained'):
        assert 0.5 < stored[state]['knn/k20'] <= 1
    before = stored['untrained']['knn/k20']
    assert f'{before:>10.4f}' in first.stdout
    for row in ('NEMD between classes', 'uniformity', 'effective rank'):
        assert row in first.stdout
    assert str(run / 'embedding.png') in first.stdout
    assert Image.open(run / 'embedding.png').width > 1000
    # a second start prints the same and evaluates nothing
    stamp = (run / 'embedding.png').stat().st_mtime_ns
    second = python(*report, '--work-dir', run)
    assert (run / 'embedding.png').stat().st_mtime_ns == stamp
    assert second.stdout.splitlines()[-9:] == first.stdout.splitlines()[-9:]


@pytest.mark.program
def test_report_without_a_checkpoint_says_what_to_do(tmp_path):
    config = ROOT / 'configs' / 'pauc_tiny_digits.py'
    done = python(
        'tools/analysis/quickstart_report.py',
        '--config',
        config,
        '--work-dir',
        tmp_path,
    )
    assert done.returncode != 0
    assert 'train first with python tools/train.py' in done.stderr
