# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest
import torch
from mmengine.registry import init_default_scope

from pauc_mm.embedding.embedded_images import embed_all
from tests.helpers import PLAIN, TWO_VIEWS, TinyImages


class Encoder:
    """Counts the batches; the feature is the mean of each channel."""

    layout = 'stub'

    def __init__(self):
        self.batches = 0

    def to(self, device):
        return self

    def preprocess_images(self, images):
        return torch.as_tensor(images).float()

    def embed(self, images):
        self.batches += 1
        means = images.mean(dim=(2, 3))
        return means, torch.nn.functional.normalize(means, dim=1)


def source(mark='a', seed=0):
    return SimpleNamespace(
        dataset=TinyImages(num_images=7, seed=seed, pipeline=PLAIN),
        views=None,
        paths=[''] * 7,
        fingerprint=lambda: mark,
    )


@pytest.mark.parametrize(
    'again, batches',
    [
        (dict(), 2),
        (dict(seed=1), 4),
        (dict(key=dict(weights='b')), 4),
        (dict(source=source('b', seed=1)), 4),
    ],
)
def test_a_store_serves_what_it_was_made_for(tmp_path, again, batches):
    encoder, store = Encoder(), tmp_path / 'a' / 'b' / 'embeddings.pt'
    options = dict(
        source=source(),
        batch_size=4,
        seed=0,
        store=store,
        key=dict(weights='a'),
    )
    embed_all(encoder, **options)
    assert store.is_file() and encoder.batches == 2
    options |= again
    got = embed_all(encoder, **options)
    assert encoder.batches == batches
    images = [i['img'] for i in options['source'].dataset.load_data_list()]
    means = [torch.from_numpy(i).float().mean(dim=(0, 1)) for i in images]
    torch.testing.assert_close(got.features, torch.stack(means))
    # The baseline of pixels: 3 x 16 x 16, here enlarged from 8 x 8.
    pixels = torch.stack([torch.from_numpy(i) for i in images])
    pixels = pixels.permute(0, 3, 1, 2)
    pixels = pixels.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(got.pixels, pixels.flatten(1).half())
    assert [p.name for p in store.parent.iterdir()] == [store.name]


def test_the_views_of_an_image_are_two():
    init_default_scope('mmpretrain')
    images = source()
    images.views = TinyImages(num_images=7, pipeline=TWO_VIEWS)
    one, other, again = (
        embed_all(Encoder(), images, batch_size=4, seed=seed).views
        for seed in (0, 1, 0)
    )
    assert one.shape == (2, 7, 3) and torch.equal(one, again)
    assert not torch.equal(one[0], one[1]) and not torch.equal(one, other)
