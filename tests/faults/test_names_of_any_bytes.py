# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Files and folders whose names are not UTF-8, as of old cameras and disks."""

import io
import os
import sys
import uuid
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MMLogger
from PIL import Image

from pauc_mm.datasets import ImageFolder
from pauc_mm.datasets.dataset_views import fingerprint
from pauc_mm.diagnosis.figures import _groups
from pauc_mm.utils.files import write_text

pytestmark = [
    pytest.mark.skipif(
        sys.platform == 'darwin', reason='the file system refuses such names'
    ),
    pytest.mark.verdict('works'),
]


def write_images(folder, names):
    for name in names:
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        content = io.BytesIO()
        Image.new('RGB', (4, 4)).save(content, 'PNG')
        with open(path, 'wb') as file:
            file.write(b'' if name.startswith(b'bad') else content.getvalue())
    return folder


def test_a_training_set_has_a_fingerprint(tmp_path):
    def digest(name, *files):
        return fingerprint(
            ImageFolder(str(write_images(tmp_path / name, files)))
        )

    plain = digest('a', b'x/cafe.png')
    latin = digest('b', b'x/caf\xe9.png')
    assert latin == digest('c', b'x/caf\xe9.png')
    assert len({plain, latin, digest('d', b'x/caf\xe8.png')}) == 3


def test_a_corrupt_one_is_named_in_the_log(tmp_path):
    data = write_images(tmp_path / 'data', [b'x/a.png', b'bad\xe9/b.png'])
    log = tmp_path / 'log.txt'
    MMLogger.get_instance(f'test_{uuid.uuid4().hex}', log_file=str(log))
    assert len(ImageFolder(str(data), corrupt='skip')) == 1
    assert '  bad\\xe9/b.png: ' in log.read_text()


def test_a_class_is_named_in_a_report(tmp_path):
    name = os.fsdecode(b'caf\xe9')
    source = SimpleNamespace(labels=torch.tensor([0]), classes=[name])
    groups = _groups(source, [])
    assert groups.names == ['caf\\xe9']
    write_text(tmp_path / 'a.html', f'{name} \u2713')
    assert (tmp_path / 'a.html').read_text('utf-8') == 'caf\\xe9 \u2713'
