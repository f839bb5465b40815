# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from types import SimpleNamespace

import pytest
import torch
from mmengine.registry import init_default_scope

from pauc_mm.embedding import embedded_images
from pauc_mm.embedding.embedded_images import (
    EmbeddedImages,
    drop_zeros,
    embed_all,
)
from pauc_mm.embedding.images import ImageSource
from tests.helpers import PLAIN, TWO_VIEWS, TinyImages


class Encoder:
    """Counts the batches; the feature is the mean of each channel."""

    layout = 'stub'

    def __init__(self):
        self.batches = 0

    def to(self, device):
        self.device = device
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


def test_the_views_of_an_image_are_two(tmp_path):
    init_default_scope('mmpretrain')
    images = source()
    images.views = TinyImages(num_images=7, pipeline=TWO_VIEWS)
    one, other, again = (
        embed_all(Encoder(), images, batch_size=4, seed=seed).views
        for seed in (0, 1, 0)
    )
    assert one.shape == (2, 7, 3) and torch.equal(one, again)
    for _ in range(2):
        kept = embed_all(Encoder(), images, 4, store=tmp_path / 'kept')
        assert torch.equal(kept.views, one)
    assert not torch.equal(one[0], one[1]) and not torch.equal(one, other)


@pytest.mark.parametrize('content', ['junk', dict(a=1)])
def test_a_store_of_something_else_is_made_anew(tmp_path, content):
    encoder, store = Encoder(), tmp_path / 'embeddings.pt'
    store.write_text('junk')
    if isinstance(content, dict):
        torch.save(content, store)
    for _ in range(2):
        embed_all(encoder, source(), batch_size=4, store=store)
        assert encoder.batches == 2


def test_options_and_the_images_of_the_views(monkeypatch):
    init_default_scope('mmpretrain')
    seen, map_dataset = [], embedded_images.map_dataset

    def note(function, dataset, rows, batch_size, num_workers):
        seen.append((list(rows), batch_size, num_workers))
        return map_dataset(function, dataset, rows, batch_size)

    monkeypatch.setattr(embedded_images, 'map_dataset', note)
    monkeypatch.setattr(embedded_images, 'MAX_VIEWS', 3)
    images, encoder = source(), Encoder()
    images.views = TinyImages(num_images=7, pipeline=TWO_VIEWS)
    embed_all(encoder, images, 4, 2, 'there')
    assert encoder.device == 'there'
    assert seen == [(list(range(7)), 4, 2), ([0, 2, 4], 4, 2)]


class Features(Encoder):
    """An encoder without a projection, of images of 32 pixels."""

    def preprocess_images(self, images):
        images = super().preprocess_images(images)
        size, generator = (len(images), 3, 32, 32), torch.Generator()
        return torch.rand(size, generator=generator.manual_seed(0))

    def embed(self, images):
        self.images = images
        return super().embed(images)[0], None


def test_features_take_the_place_of_embeddings():
    init_default_scope('mmpretrain')
    encoder, images = Features(), source()
    images.views = TinyImages(num_images=7, pipeline=TWO_VIEWS)
    got = embed_all(encoder, images, batch_size=7)
    assert got.embeddings is None and got.space == 'feature'
    assert EmbeddedImages(None, got.features, None, None).space == 'embedding'
    unit = torch.nn.functional.normalize(got.features, dim=1)
    assert torch.equal(got.vectors, unit)
    torch.testing.assert_close(got.views, torch.stack([unit, unit]))
    # Shrunken: each of the 16 x 16 pixels is the mean of four.
    pooled = torch.nn.functional.avg_pool2d(encoder.images, 2).flatten(1)
    torch.testing.assert_close(got.pixels, pooled.half())


@pytest.mark.parametrize('dead', [1, slice(None)])
def test_a_view_without_a_direction_is_left_out(dead):
    init_default_scope('mmpretrain')
    images, encoder = source(), Encoder()
    images.views = TinyImages(num_images=7, pipeline=TWO_VIEWS)
    whole = embed_all(encoder, images, batch_size=7).views
    embed, encoder.batches = encoder.embed, 0

    def zero(images):
        feature, embedding = embed(images)
        if encoder.batches == 3:  # the second view
            embedding[dead] = 0
        return feature, embedding

    encoder.embed = zero
    views = embed_all(encoder, images, batch_size=7).views
    if dead == 1:
        assert torch.equal(views, whole[:, [0, 2, 3, 4, 5, 6]])
    else:
        assert views is None


@pytest.mark.parametrize('which', ['features', 'embeddings'])
def test_vectors_that_are_not_finite_are_named(which):
    encoder, images = Encoder(), source()
    images.paths[5] = 'x.png'
    embed = encoder.embed

    def diverge(images):
        feature, embedding = embed(images)
        spoilt = feature if which == 'features' else embedding
        spoilt[[3, 5], 0] = torch.nan
        return feature, embedding

    encoder.embed = diverge
    found = 'vectors of 2 of 7 images .* first: image 3, x.png'
    with pytest.raises(RuntimeError, match=found):
        embed_all(encoder, images)


def test_an_image_that_does_not_decode():
    encoder = Encoder()

    def fail(images):
        raise AssertionError('x.png')

    encoder.preprocess_images = fail
    with pytest.raises(ValueError, match='x.png.*--corrupt skip'):
        embed_all(encoder, source())


def test_images_with_a_zero_of_either_kind_are_dropped():
    images = EmbeddedImages(
        torch.rand(5, 3) + 0.1,
        torch.rand(5, 2) + 0.1,
        torch.arange(5.0)[:, None],
        torch.ones(2, 4, 2),
    )
    everything = ImageSource(
        TinyImages(num_images=5), None, torch.arange(5), None, '', ''
    )
    same = drop_zeros(images, everything)
    assert same[0] is images and same[1] is everything and same[2] == 0
    images.features[1] = 0
    images.embeddings[3] = 0
    some, rest, share = drop_zeros(images, everything)
    assert rest.labels.tolist() == [0, 2, 4] and share == pytest.approx(0.4)
    for name in ('features', 'embeddings', 'pixels'):
        assert torch.equal(getattr(some, name), getattr(images, name)[::2])
    assert some.views is images.views
    images.features[2] = 0
    assert len(drop_zeros(images, everything)[1]) == 2
    images.features[4] = 0
    with pytest.raises(ValueError, match='Complete collapse: 4 of 5'):
        drop_zeros(images, everything)
