# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Sources that are none, destinations that cannot be, options that clash."""

import os
from functools import partial

import pytest
import torch

from pauc_mm.checkpoints.converters import FORMATS, export
from tests.test_checkpoints.source_models import (
    OfficialMoCo,
    small_resnet,
    wrapped,
)
from tests.test_checkpoints.test_converters.helpers import (
    load,
    saved,
    to_mmpretrain,
    to_torchvision,
)

CONVERTERS = [partial(export, to=to) for to in FORMATS]


class Runs:
    """Pickles into a call that makes a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize('convert', CONVERTERS)
def test_sources(tmp_path, convert):
    target = tmp_path / 'x.pth'

    def fails(source, error, message):
        with pytest.raises(error, match=message):
            convert(source, target)
        assert not target.exists()

    fails(tmp_path / 'no.pth', FileNotFoundError, 'no checkpoint.*no.pth')
    fails(tmp_path, IsADirectoryError, 'is a folder; name a checkpoint')
    text = tmp_path / 'a.pth'
    text.write_text('import torch')
    fails(text, ValueError, 'not a checkpoint of torch')
    fails(saved(tmp_path, dict(epoch=3)), ValueError, "keys: 'epoch'")
    other = {'features.0.weight': torch.zeros(2), 'y': torch.zeros(2)}
    fails(
        saved(tmp_path, other),
        ValueError,
        'None of its 2 keys.*features.0.weight.*--layout.*--prefix',
    )
    bad = dict(state_dict=small_resnet().state_dict(), x=Runs(tmp_path / 'm'))
    fails(saved(tmp_path, bad), ValueError, 'would run code')
    assert not (tmp_path / 'm').exists()
    head = {'backbone.fc.weight': torch.zeros(2), 'neck.fc.x': torch.zeros(2)}
    content = dict(meta={}, state_dict=head)
    fails(saved(tmp_path, content), ValueError, '--config')


@pytest.mark.parametrize('convert', (to_mmpretrain, to_torchvision))
def test_layouts_that_do_not_fit(tmp_path, convert):
    path = saved(tmp_path, wrapped(OfficialMoCo(True)))

    def fails(message, **options):
        with pytest.raises(ValueError, match=message):
            convert(path, tmp_path / 'x.pth', **options)

    fails("--layout .*moco.*pcl.*'moko'", layout='moko')
    fails("--layout torchvision.*no network is under ''", layout='torchvision')
    fails('encoder_q.conv1.weight, encoder_q.bn1', layout='swav')
    fails("no network is under 'backbone.'. Its 166", layout='mmpretrain')
    fails('--prefix names the network', prefix='a', layout='moco')
    fails('--prefix names the network', prefix='a', momentum=True)
    fails("--prefix 'nets.a.' does not fit", prefix='nets.a')
    state = wrapped(small_resnet())
    path = saved(tmp_path, state)
    fails('no momentum encoder', momentum=True)


@pytest.mark.parametrize('convert', (to_mmpretrain, to_torchvision))
def test_destinations(tmp_path, convert):
    source = saved(tmp_path, {'a': torch.zeros(1)})
    before = source.read_bytes()

    def fails(target, error, message, **options):
        with pytest.raises(error, match=message):
            convert(source, target, **options)

    fails(tmp_path, IsADirectoryError, 'is a folder')
    fails(source / 'x.pth', NotADirectoryError, "source.pth.tar' is a file")
    fails(source / 'a' / 'x', NotADirectoryError, "source.pth.tar' is a file")
    fails(source, ValueError, 'the file to convert', force=True)
    link = tmp_path / 'link.pth'
    link.symlink_to(source)
    fails(link, ValueError, 'the file to convert', force=True)
    other = tmp_path / 'other.pth'
    other.write_text('mine')
    fails(other, FileExistsError, "other.pth' exists.*--force")
    fails(other, ValueError, 'no network', force=True)
    assert other.read_text() == 'mine' and source.read_bytes() == before


def test_folders_are_made_and_files_replaced(tmp_path):
    source = saved(tmp_path, small_resnet().state_dict())
    target = tmp_path / 'a' / 'b' / 'x.pth'
    to_mmpretrain(source, target)
    first = load(target)['meta']['source_sha256']
    source = saved(tmp_path, small_resnet().state_dict())
    to_mmpretrain(source, target, force=True)
    assert load(target)['meta']['source_sha256'] != first
    assert [p.name for p in target.parent.iterdir()] == ['x.pth']
