# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""One flipped bit in a tensor: every reader names the record, or none reads.

A new reader is a row of READERS, a new damage a row of DAMAGES.
"""

import zipfile

import pytest
import torch

from pauc_mm.checkpoints import Checkpoint
from pauc_mm.checkpoints.converters import (
    extract_backbone,
    to_mmpretrain,
    to_torchvision,
)
from pauc_mm.checkpoints.weights import read_weights
from pauc_mm.compat.safe_load import load_from_local
from pauc_mm.embedding.embedded_images import _read
from pauc_mm.engine.whole_checkpoints import check_whole
from tests.test_checkpoints.source_models import small_resnet


def write(path, **options):
    torch.manual_seed(0)
    torch.save(dict(state_dict=small_resnet().state_dict()), path, **options)
    return path


def flip(path, record='data/0', bit=6):
    """Flip a bit in the last byte of a record, as a bad disk does."""
    with zipfile.ZipFile(path) as archive:
        info = next(
            i for i in archive.infolist() if i.filename.endswith(record)
        )
    data = bytearray(path.read_bytes())
    name, extra = data[info.header_offset + 26 : info.header_offset + 30 : 2]
    extra += data[info.header_offset + 29] << 8
    start = info.header_offset + 30 + name + extra
    data[start + info.file_size - 1] ^= 1 << bit
    path.write_bytes(data)
    return path


READERS = {
    'open': Checkpoint.open,
    'open, trusted': lambda path: Checkpoint.open(path, trust=True),
    'to_mmpretrain': lambda p: to_mmpretrain(p, p.with_name('x.pth')),
    'to_torchvision': lambda p: to_torchvision(p, p.with_name('x.pth')),
    'extract_backbone': lambda p: extract_backbone(p, p.with_name('x.pth')),
    'fine-tuning': lambda path: read_weights(str(path)),
    'init_cfg and load_from': lambda p: load_from_local(str(p)),
    'resume': lambda path: check_whole(str(path)),
}


@pytest.mark.parametrize('reader', READERS)
def test_a_flipped_bit_in_a_tensor(tmp_path, reader):
    path = flip(write(tmp_path / 'a.pth'))
    torch.load(path)  # torch does not notice
    with pytest.raises((ValueError, RuntimeError), match=r'a\.pth.*a/data/0'):
        READERS[reader](path)
    assert not (tmp_path / 'x.pth').exists()


DAMAGES = {
    'none': (lambda path: None, None),
    'tensor': (flip, 'record a/data/0'),
    'structure': (lambda path: flip(path, 'data.pkl', 1), 'a/data.pkl'),
    'half of it': (
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        'truncated: 5000 bytes',
    ),
    'a pickle of nothing': (
        lambda path: path.write_bytes(b'\x80\x02' + b'x' * 40),
        'cannot be read',
    ),
    'empty': (lambda path: path.write_bytes(b''), '0 bytes'),
    'without checksums': (
        lambda path: path.write_bytes(_without_checksums(path)),
        None,
    ),
    'of torch before 1.6': (
        lambda path: write(path, _use_new_zipfile_serialization=False),
        None,
    ),
}


def _without_checksums(path):
    """The file as torch.serialization.set_crc32_options(False) has it."""
    if not hasattr(torch.serialization, 'set_crc32_options'):
        pytest.skip('torch before 2.6')
    try:
        torch.serialization.set_crc32_options(False)
        return write(path).read_bytes()
    finally:
        torch.serialization.set_crc32_options(True)


@pytest.mark.parametrize('damage', DAMAGES)
def test_kinds_of_damage(tmp_path, damage):
    path = write(tmp_path / 'a.pth')
    change, problem = DAMAGES[damage]
    change(path)
    if problem is None:
        check_whole(str(path))
        notes = Checkpoint.open(path).notes
        assert any('checksums' in n for n in notes) == (damage != 'none')
    else:
        with pytest.raises(RuntimeError, match=problem):
            check_whole(str(path))


def test_damaged_cache_of_features_is_recomputed(tmp_path, capsys):
    path = tmp_path / 'a.pt'
    torch.save(dict(features=torch.ones(50, 3)), path)
    assert list(_read(path)) == ['features']
    assert _read(flip(path)) == {}
    assert 'recomputed' in capsys.readouterr().out
