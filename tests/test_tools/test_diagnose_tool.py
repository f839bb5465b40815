# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from pauc_mm.apis.diagnose import main


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Two random networks, and 40 images of noise in two folders."""
    root = tmp_path_factory.mktemp('files')
    rng = np.random.default_rng(0)
    for i in range(40):
        folder = root / 'images' / str(i % 2)
        folder.mkdir(parents=True, exist_ok=True)
        noise = rng.integers(0, 100, (20, 20, 3)) + 150 * (i % 2)
        Image.fromarray(noise.astype(np.uint8)).save(folder / f'{i}.png')
    for seed in range(2):
        torch.manual_seed(seed)
        weights = torchvision.models.resnet18().state_dict()
        torch.save(weights, root / f'net{seed}.pth')
    return root


def call(files, *arguments):
    common = ('--data', files / 'images', '--image-size', 16, '--no-tsne')
    main([str(word) for word in (*arguments, *common)])


@pytest.mark.slow
def test_one_checkpoint(files, tmp_path, capsys):
    out = tmp_path / 'out'
    call(files, files / 'net0.pth', '--labels', '--out', out)
    printed = capsys.readouterr().out
    report = json.loads((out / 'report.json').read_text())
    assert report['verdict']['title'] in printed
    assert f'{out / "report.html"}' in printed
    assert 'kNN accuracy, k=20' in printed
    for sentence in report['verdict']['sentences']:
        assert sentence in printed


@pytest.mark.slow
def test_two_checkpoints(files, tmp_path, capsys):
    pair = [files / 'net0.pth', files / 'net1.pth']
    call(files, '--out', tmp_path, '--compare', *pair)
    assert f'{tmp_path / "compare.html"}' in capsys.readouterr().out
    assert (tmp_path / 'net1' / 'report.html').is_file()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((), 'give one CHECKPOINT'),
        (('a.pth', '--compare', 'b.pth'), 'give one CHECKPOINT'),
        (('a.pth', '--batch-size', '0'), '--batch-size must'),
        (('a.pth', '--workers', '-1'), '--workers must'),
        (('a.pth', '--clusters', 'many'), "invalid int value: 'many'"),
    ],
)
def test_wrong_command_lines(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_wrong_files_end_with_a_line_and_no_traceback(files, tmp_path):
    (tmp_path / 'text.pth').write_text('no checkpoint')
    for name, message in (
        ('none.pth', 'none.pth'),
        ('text.pth', 'text.pth'),
        ('', 'folder'),
    ):
        with pytest.raises(SystemExit) as stop:
            call(files, tmp_path / name, '--out', tmp_path / 'out')
        assert str(stop.value.code).startswith('diagnose: ')
        assert message in str(stop.value.code)
    assert not (tmp_path / 'out').exists()
