# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import os
import shutil

import pytest
import torch

from pauc_mm.checkpoints.encoder import Encoder
from pauc_mm.transfer import FeatureOptions, extract


@pytest.fixture
def options(checkpoint, folders, tmp_path):
    train, test = map(str, folders)

    def make(**changes):
        values = dict(checkpoint=str(checkpoint), train=train, test=test)
        values.update(cache=str(tmp_path / 'cache'), device='cpu')
        return FeatureOptions(**{**values, **changes})

    return make


@pytest.fixture
def passes(monkeypatch):
    """Counts the batches that go through the network."""
    calls = []
    embed = Encoder.embed
    monkeypatch.setattr(
        Encoder,
        'embed',
        lambda self, images: calls.append(len(images)) or embed(self, images),
    )
    return calls


@pytest.mark.slow
def test_features_are_those_of_the_network(options):
    from tests.helpers import load_encoder

    train, test = extract(options(batch_size=5))
    assert train.features.shape == (24, 128) and len(test) == 12
    assert train.classes == test.classes == ['blue', 'green', 'red']
    encoder = load_encoder(options().checkpoint)
    from pauc_mm.transfer.images import from_folders

    source, _ = from_folders(encoder, options().train, options().test)
    for row in (0, 13):
        image = source.dataset[row]['inputs'][None]
        own, embedding = encoder.embed(encoder.preprocess_images(image))
        torch.testing.assert_close(train.features[[row]], own)
    embedded, _ = extract(options(space='embedding'))
    torch.testing.assert_close(embedded.features[[13]], embedding)


@pytest.mark.slow
def test_features_are_kept_until_something_changes(
    options, passes, folders, tmp_path
):
    first, _ = extract(options())
    assert sum(passes) == 24 + 12
    again, _ = extract(options(space='embedding', batch_size=3))
    assert sum(passes) == 36  # both spaces are kept
    again, _ = extract(options())
    assert torch.equal(first.features, again.features)
    extract(options(image_size=20))
    assert sum(passes) == 2 * 36
    extract(options(cache=''))
    assert sum(passes) == 3 * 36
    copy = tmp_path / 'copy'
    shutil.copytree(folders[0], copy)
    extract(options(train=str(copy)))
    assert sum(passes) == 4 * 36  # those of the test were of 20 pixels
    before = sum(passes)
    extract(options(train=str(copy)))
    assert sum(passes) == before
    image = copy / 'red' / '3.png'
    os.utime(image, ns=(1, 1))
    extract(options(train=str(copy)))
    assert sum(passes) == before + 24


def test_another_checkpoint_has_other_features(
    options, passes, checkpoint, tmp_path
):
    path = tmp_path / 'epoch_0.pth'
    shutil.copy(checkpoint, path)
    first, _ = extract(options(checkpoint=str(path)))
    state = torch.load(path, weights_only=True)
    key = next(k for k in state['state_dict'] if k.startswith('backbone.'))
    state['state_dict'][key] *= 2
    torch.save(state, path)
    changed, _ = extract(options(checkpoint=str(path)))
    assert sum(passes) == 2 * 36
    assert not torch.allclose(first.features, changed.features)


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(test=None), '--train and --test go together'),
        (dict(voc='VOCdevkit'), 'Give one of --train and --test, --voc'),
        (dict(space='neck'), "--space must be .*'neck'"),
        (dict(batch_size=0), '--batch-size must be .*got 0'),
        (dict(workers=-1), '--workers must be .*got -1'),
        (dict(image_size=0), '--image-size must be .*got 0'),
        (
            dict(train=None, test=None, image_size=8),
            'config has its own size',
        ),
    ],
)
def test_wrong_options(options, changes, message):
    with pytest.raises(ValueError, match=message):
        options(**changes)


def test_a_checkpoint_without_a_projection(options, tmp_path, checkpoint):
    path = tmp_path / 'backbone.pth'
    state = torch.load(checkpoint, weights_only=True)
    state['state_dict'] = {
        k: v
        for k, v in state['state_dict'].items()
        if k.startswith('backbone.')
    }
    state['meta']['cfg'] = state['meta']['cfg'].replace('neck=', 'nothing=')
    torch.save(state, path)
    extract(options(checkpoint=str(path)))
    with pytest.raises(ValueError, match='no projection .*--space embedding'):
        extract(options(checkpoint=str(path), space='embedding'))


def test_no_gpu_is_said(options, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ValueError, match='torch sees no GPU'):
        extract(options(device='cuda'))
