# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import argparse
import os
import pickle
import warnings
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from torchvision import models

from pauc_mm.checkpoints.file import read_file
from tests.helpers import load_encoder
from tests.test_checkpoints.source_models import small_resnet


class Runs:
    """Pickles into a call that makes a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def write(path, content):
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    return path


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match='no checkpoint.*none.pth'):
        load_encoder(tmp_path / 'none.pth')
    with pytest.raises(IsADirectoryError, match='in it: none'):
        load_encoder(tmp_path)
    write(tmp_path / 'epoch_3.pth', {})
    with pytest.raises(IsADirectoryError, match='in it: epoch_3.pth'):
        load_encoder(str(tmp_path))


@pytest.mark.parametrize(
    'content, message',
    [
        (b'', 'not a checkpoint of torch: 0 bytes'),
        (b'import torch\nprint(1)\n', "begin with b'import torch"),
        (bytes(range(200, 240)) * 9, 'not a checkpoint of torch: 360 bytes'),
        (b'\x80\x02 then nothing of use', 'cannot be read.*may be damaged'),
        (b'PK\x03\x04 and no more', 'truncated: 16 bytes'),
        (pickle.dumps(dict(a=1), 2), 'cannot be read as a checkpoint'),
    ],
)
@pytest.mark.parametrize('trust', [False, True])
def test_files_that_are_no_checkpoints(tmp_path, content, message, trust):
    path = write(tmp_path / 'x.pth', content)
    with pytest.raises(ValueError, match=message):
        load_encoder(path, trust=trust)


def test_another_archive_and_a_cut_checkpoint(tmp_path):
    path = tmp_path / 'images.zip'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('a/b.txt', 'text')
    with pytest.raises(ValueError, match='cannot be read as a checkpoint'):
        load_encoder(path)
    whole = write(tmp_path / 'a.pth', small_resnet().state_dict())
    data = whole.read_bytes()
    cut = write(tmp_path / 'b.pth', data[: len(data) // 2])
    with pytest.raises(ValueError, match='truncated'):
        load_encoder(cut)


@pytest.mark.parametrize('new_format', [True, False])
def test_code_in_a_pickle(tmp_path, new_format):
    path, folder = tmp_path / 'x.pth', tmp_path / 'made'
    state = small_resnet().state_dict()
    torch.save(
        dict(state_dict=state, extra=Runs(folder)),
        path,
        _use_new_zipfile_serialization=new_format,
    )
    with pytest.raises(ValueError, match='mkdir.*--trust-checkpoint'):
        load_encoder(path)
    assert not folder.exists()
    assert (
        load_encoder(path, trust=True).layout
        == 'torchvision ResNet-10 (width 8)'
    )
    assert folder.exists()


def test_what_ordinary_checkpoints_carry_is_ignored(tmp_path):
    """Arguments, log history and numpy values need no trust."""
    content = dict(
        state_dict=dict(a=torch.ones(2)),
        args=argparse.Namespace(lr=0.1, nested=argparse.Namespace(x=1)),
        log=HistoryBuffer([1.0], [1]),
        best=np.float32(0.5),
        table=np.eye(2),
    )
    path = write(tmp_path / 'x.pth', content)
    got = read_file(path)
    assert torch.equal(got['state_dict']['a'], torch.ones(2))
    assert not isinstance(got['args'], argparse.Namespace)
    assert read_file(path, trust=True)['args'].lr == 0.1


def test_getattr_in_a_pickle_reaches_nothing(tmp_path):
    """An empty class stands in for it, which mmengine's log history needs."""

    class Reaches:
        def __reduce__(self):
            return getattr, (torch.Tensor, 'sum')

    got = read_file(write(tmp_path / 'x.pth', dict(a=Reaches())))
    assert got['a'] is not torch.Tensor.sum


def test_whole_modules(tmp_path):
    path = write(tmp_path / 'x.pth', models.resnet18(num_classes=2))
    with pytest.raises(ValueError, match='torchvision.models.resnet.ResNet'):
        load_encoder(path)
    encoder = load_encoder(path, trust=True)
    assert encoder.layout == 'torchvision ResNet-18'


@pytest.mark.parametrize(
    'content, message',
    [
        (
            dict(epoch=3, arch='r'),
            "without weights; its keys: 'epoch', 'arch'",
        ),
        ({}, 'without weights; its keys: none'),
        ([torch.ones(2)], 'holds a list'),
    ],
)
def test_dicts_without_weights(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        load_encoder(write(tmp_path / 'x.pth', content))


@pytest.mark.parametrize(
    'name, content, message',
    [
        ('x.onnx', b'\x08\x08\x12\x07pytorch', 'an ONNX graph'),
        ('x.safetensors', b'\x08\0\0\0{"a"', 'no safetensors file'),
        ('x.safetensors', b'\x09' + b'\0' * 7 + b'{"a": 1', 'damaged'),
    ],
)
@pytest.mark.parametrize('trust', [False, True])
def test_other_formats(tmp_path, name, content, message, trust):
    with pytest.raises(ValueError, match=message):
        read_file(write(tmp_path / name, content), trust)


def test_a_program_of_torchscript(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', FutureWarning)
        module = torch.jit.script(torch.nn.Linear(2, 2))
    module.save(path := tmp_path / 'x.pt')
    with pytest.raises(ValueError, match='TorchScript'):
        load_encoder(path)


def test_safetensors(tmp_path):
    save_file = pytest.importorskip('safetensors.torch').save_file
    state = small_resnet().state_dict()
    save_file(state, path := tmp_path / 'x.safetensors')
    encoder = load_encoder(path)
    assert encoder.layout == 'torchvision ResNet-10 (width 8)'
    assert torch.equal(encoder.backbone.conv1.weight, state['conv1.weight'])


def state(*keys):
    return {key: torch.zeros(2, 2) for key in keys}


@pytest.mark.parametrize(
    'content, message',
    [
        (
            state('cls_token', 'a.blocks.0.attn.q', 'a.norm.weight'),
            'a vision transformer of another form, .* DINOv2: 2 of its 3 '
            'keys are not of that layout, first a.blocks.0.attn.q',
        ),
        (
            state('module.encoder_q.features.0.weight', 'module.queue')
            | state('module.encoder_q.fc.weight', 'module.encoder_q.fc.bias'),
            'a VGG.*closest known layout is official MoCo: 1 of its 4 keys '
            'are not of that layout, first encoder_q.features.0.weight',
        ),
        (
            state('module.projection_head.0.weight', 'module.x.weight')
            | state('module.prototypes.weight'),
            'official SwAV: 1 of its 3 keys .* first x.weight',
        ),
        (
            state('a.layer1.0.conv1.weight', 'b.layer1.0.conv1.weight'),
            r"several networks \('a.', 'b.'\)",
        ),
    ],
)
def test_unknown_layouts(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        load_encoder(write(tmp_path / 'x.pth', content))


def test_networks_that_only_look_like_a_resnet(tmp_path):
    def fails(model, message):
        with pytest.raises(ValueError, match=message):
            load_encoder(write(tmp_path / 'x.pth', model.state_dict()))

    fails(
        models.ResNet(
            models.resnet.Bottleneck, [1] * 4, groups=32, width_per_group=4
        ),
        'ResNeXt',
    )
    other = small_resnet()
    other.layer1[0].se = torch.nn.Linear(2, 2)
    fails(other, r'not a plain ResNet: it also has layer1\.0\.se\.')
    grey = small_resnet()
    grey.conv1 = torch.nn.Conv2d(1, 64, 7, bias=False)
    fails(grey, r'shape \(64, 1, 7, 7\): only')
    no_statistics = small_resnet(norm_layer=lambda c: torch.nn.GroupNorm(8, c))
    fails(no_statistics, r'missing: bn1\.running_mean')
