# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Code in the config of a checkpoint runs nowhere; a new place is a row."""

import pytest
import torch
from mmengine.config import Config

from pauc_mm.embedding.images import find_images
from pauc_mm.utils.shipped_files import resolve_config
from tests.helpers import load_encoder
from tests.test_transfer.conftest import save_checkpoint

pytestmark = pytest.mark.verdict('noted')
CODE = dict(type='os.mkdir', path='made')
PLACES = {
    'views of the training': (
        'train_dataloader.dataset.pipeline',
        [
            dict(type='MultiView', num_views=2, transforms=[[CODE]]),
            dict(type='PackInputs'),
        ],
    ),
    'pipeline of the test': ('val_dataloader.dataset.pipeline', [CODE]),
    'data set of the test': (
        'val_dataloader.dataset',
        dict(CODE, pipeline=[dict(type='PackInputs')]),
    ),
}


@pytest.mark.parametrize('place', PLACES)
def test_code_in_a_config(place, tmp_path, monkeypatch):
    from tests.test_transfer.helpers import write_folders

    monkeypatch.chdir(tmp_path)
    key, value = PLACES[place]
    cfg = Config.fromfile(resolve_config('pauc_mm::pauc_tiny_digits.py'))
    clean = save_checkpoint(cfg, tmp_path / 'a.pth')
    content = torch.load(clean)
    *parents, last = key.split('.')
    part = cfg
    for name in parents:
        part = part[name]
    part[last] = value
    content['meta']['cfg'] = Config(cfg.to_dict()).pretty_text
    torch.save(content, clean)
    data = write_folders(tmp_path / 'data', range(20))
    encoder = load_encoder(clean)
    source = find_images(encoder, str(data), image_size=16)
    for images in (source.dataset, source.views):
        assert images is None or images[0]['inputs'] is not None
    assert not (tmp_path / 'made').exists()
    assert any('was left out' in note for note in encoder.notes)
