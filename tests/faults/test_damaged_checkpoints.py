# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Damaged checkpoints and pointers; a reader, a damage, a folder is a row."""

import os
import shutil
import zipfile

import pytest
import torch
from mmengine.logging import MMLogger

from pauc_mm.checkpoints import Checkpoint
from pauc_mm.checkpoints.converters import FORMATS, export
from pauc_mm.checkpoints.weights import read_weights
from pauc_mm.compat.safe_load import load_from_local
from pauc_mm.embedding.embedded_images import _read
from pauc_mm.engine.whole_checkpoints import check_whole, last_whole
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
    **{
        f'export --to {to}': lambda p, to=to: export(
            p, p.with_name('x.pth'), to
        )
        for to in FORMATS
    },
    'fine-tuning': lambda path: read_weights(str(path)),
    'init_cfg and load_from': lambda p: load_from_local(str(p)),
    'resume': lambda path: check_whole(str(path)),
}


@pytest.mark.verdict('refused')
@pytest.mark.parametrize('reader', READERS)
def test_a_flipped_bit_in_a_tensor(tmp_path, ends, reader):
    path = flip(write(tmp_path / 'a.pth'))
    torch.load(path)  # torch does not notice
    with ends(r'refused: a\.pth.*a/data/0'):
        READERS[reader](path)
    assert not (tmp_path / 'x.pth').exists()


def cut(path, size=5000):
    os.truncate(path, path.stat().st_size + size if size < 0 else size)


def zeroed(path):
    path.write_bytes(bytes(path.stat().st_size))


def of(content):
    return lambda path: path.write_bytes(content)


def saved(value):
    return lambda path: torch.save(value, path)


def without_checksums(path):
    """Write it as torch.serialization.set_crc32_options(False) does."""
    if not hasattr(torch.serialization, 'set_crc32_options'):
        pytest.skip('torch before 2.6')
    try:
        torch.serialization.set_crc32_options(False)
        write(path)
    finally:
        torch.serialization.set_crc32_options(True)


def old_format(path):
    write(path, _use_new_zipfile_serialization=False)


def nan(path):
    write(path)
    content = torch.load(path)
    content['state_dict']['bn1.weight'][3] = float('nan')
    torch.save(content, path)


def archive(path):
    with zipfile.ZipFile(path, 'w') as file:
        file.writestr('photos/a.png', b'a picture')


def folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    'none': (lambda path: None, 'works'),
    'a flipped bit in a tensor': (flip, 'refused: record a/data/0'),
    'in the structure': (
        lambda path: flip(path, 'data.pkl', 1),
        'refused: a/data.pkl',
    ),
    'half of it': (cut, 'refused: truncated: 5000 bytes'),
    'without its last byte': (lambda path: cut(path, -1), 'refused: '),
    'its first kilobyte': (lambda path: cut(path, 1024), 'refused: truncated'),
    'empty': (of(b''), 'refused: 0 bytes'),
    'zeros': (zeroed, 'refused: '),
    'a pickle of nothing': (of(b'\x80\x02' + b'x' * 40), 'refused: '),
    'a page of the web': (of(b'<html>404</html>'), 'refused: '),
    'another archive': (archive, 'refused: '),
    'a folder': (folder, 'refused: '),
    'NaN': (nan, 'refused: bn1.weight'),
    'without checksums': (without_checksums, 'noted: checksums'),
    'of torch before 1.6': (old_format, 'noted: checksums'),
}


@pytest.mark.parametrize('damage, verdict', DAMAGES.values(), ids=DAMAGES)
def test_kinds_of_damage(tmp_path, ends, damage, verdict):
    path = write(tmp_path / 'a.pth')
    damage(path)
    with ends(verdict if 'refused' in verdict else 'works'):
        check_whole(str(path))
    with ends(verdict) as said:
        said += Checkpoint.open(path).encoder().notes
    assert any('checksums' in n for n in said) == ('noted' in verdict)


# ---- the checkpoint that --resume takes ------------------------------------
@pytest.fixture
def work_dir(tmp_path):
    path = tmp_path / 'run'
    path.mkdir()
    for epoch in (1, 2, 3):
        torch.save(
            dict(state_dict=dict(a=torch.ones(9))), file_of(path, epoch)
        )
        os.utime(file_of(path, epoch), (epoch, epoch))
    (path / 'last_checkpoint').write_text(str(file_of(path, 3)))
    return path


def file_of(path, epoch):
    return path / f'epoch_{epoch}.pth'


def last(damage):
    """Damage the newest checkpoint; its time stays."""

    def change(path):
        damage(file_of(path, 3))
        os.utime(file_of(path, 3), (3, 3))

    return change


def all_of(damage):
    return lambda path: [damage(file_of(path, i)) for i in (1, 2, 3)]


def pointer(content):
    return lambda path: (path / 'last_checkpoint').write_bytes(content)


def pointer_to(name):
    return lambda path: pointer(os.fsencode(path.parent / name))(path)


def no_checkpoints(path):
    for file in path.glob('epoch_*.pth'):
        file.unlink()


def only_a_pointer(path):
    no_checkpoints(path)
    pointer(b'epoch_9.pth')(path)


def times_lost(path):
    for stamp, epoch in enumerate((3, 2, 1)):
        os.utime(file_of(path, epoch), (stamp, stamp))
    pointer(b'/was/elsewhere/epoch_3.pth')(path)


def copy_of_an_older_state(path):
    """Its pointer names a file of the folder that it is a copy of."""
    original = path.rename(path.with_name('original'))
    path.mkdir()
    for epoch in (1, 2):
        shutil.copy(file_of(original, epoch), path)
    pointer_to('original/epoch_3.pth')(path)


def other_out_dir(path):
    (path.parent / 'out').mkdir()
    for epoch in (1, 2, 3):
        file_of(path, epoch).rename(file_of(path.parent / 'out', epoch))
    pointer_to('out/epoch_3.pth')(path)


def older_run(path):
    file_of(path, 1).rename(file_of(path, 90))


PASSED_OVER = 'recovers: epoch_3.pth .*Resuming from .*epoch_2.pth'
NOT_THERE = 'recovers: last_checkpoint names .* not there.*epoch_3.pth'
NAN = saved(dict(state_dict=dict(a=torch.tensor([float('nan')]))))
FOLDERS = {
    'whole': (lambda path: None, 3, 'works'),
    'the last is cut': (last(lambda path: cut(path, 500)), 2, PASSED_OVER),
    'without its last byte': (last(lambda p: cut(p, -1)), 2, PASSED_OVER),
    'is empty': (last(of(b'')), 2, PASSED_OVER),
    'has a flipped bit': (last(flip), 2, PASSED_OVER),
    'one in its structure': (
        last(lambda path: flip(path, 'data.pkl', 1)),
        2,
        PASSED_OVER,
    ),
    'is zeros': (last(zeroed), 2, PASSED_OVER),
    'is a pickle of nothing': (last(of(b'\x80\x02noise')), 2, PASSED_OVER),
    'is a text': (last(of(b'hello')), 2, PASSED_OVER),
    'is another archive': (last(archive), 2, PASSED_OVER),
    'is a folder': (last(folder), 2, PASSED_OVER),
    'is NaN': (last(NAN), 2, PASSED_OVER),
    'all are cut': (
        all_of(lambda path: cut(path, 500)),
        None,
        'refused: No checkpoint in the work_dir .*epoch_1',
    ),
    'no checkpoint, no pointer': (shutil.rmtree, None, 'works'),
    'a pointer alone': (only_a_pointer, None, 'refused: names .*epoch_9.pth'),
    'pointer to a missing file': (pointer(b'epoch_9.pth'), 3, NOT_THERE),
    'of bytes': (pointer(b'\xff\xfe'), 3, NOT_THERE),
    'with a NUL': (pointer(b'\0'), 3, NOT_THERE),
    'too long': (pointer(b'a' * 999), 3, NOT_THERE),
    'to a folder': (pointer_to('run'), 3, NOT_THERE),
    'empty': (pointer(b''), 3, 'works'),
    'of a file alone': (pointer(b'epoch_3.pth'), 3, 'works'),
    'with a line break': (pointer(b'epoch_3.pth\r\n'), 3, 'works'),
    'of the one before': (pointer_to('run/epoch_2.pth'), 3, 'works'),
    'missing': (lambda path: (path / 'last_checkpoint').unlink(), 3, 'works'),
    'a folder in its place': (
        lambda path: folder(path / 'last_checkpoint'),
        3,
        'works',
    ),
    'an older run': (older_run, 3, 'works'),
    'times are lost': (times_lost, 3, 'works'),
    'a copy': (copy_of_an_older_state, 2, 'works'),
    'another out_dir': (other_out_dir, 3, 'works'),
}


@pytest.mark.parametrize(
    'change, epoch, verdict', FOLDERS.values(), ids=FOLDERS
)
def test_folders_to_resume(work_dir, ends, change, epoch, verdict):
    change(work_dir)
    taken = None
    with ends(verdict):
        taken = last_whole(work_dir, MMLogger.get_current_instance())
    assert taken is None if epoch is None else taken.endswith(f'_{epoch}.pth')


@pytest.mark.verdict('recovers')
def test_damaged_cache_of_features_is_recomputed(tmp_path, capsys):
    path = tmp_path / 'a.pt'
    torch.save(dict(features=torch.ones(50, 3)), path)
    assert list(_read(path)) == ['features']
    assert _read(flip(path)) == {}
    assert 'recomputed' in capsys.readouterr().out
