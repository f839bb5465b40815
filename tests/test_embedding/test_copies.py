# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from pauc_mm.embedding.embedded_images import EmbeddedImages, note_copies


def images(*numbers):
    """The number of an image is what it looks like."""
    pixels = torch.tensor(numbers)[:, None].expand(-1, 768).half()
    return EmbeddedImages(pixels.float(), None, pixels, None)


def test_no_copies():
    assert note_copies(images(1, 2, 3)) == []
    assert note_copies(images(1, 2), images(3, 4, 4, 4)) == []
    near = images(1, 1, 1)
    near.pixels = near.pixels.clone()
    near.pixels[:2, -1] = torch.tensor([2, 3])  # one pixel
    assert note_copies(near) == []


def test_copies_within_a_set_are_counted_but_once():
    (note,) = note_copies(images(1, 1, 1, 2, 3, 4))
    assert note.startswith('2 of 6 images')


def test_copies_of_training_images_are_counted():
    (note,) = note_copies(images(1, 1, 2, 3), images(1, 9, 9, 9))
    assert note.startswith('2 of 4 test images')


def test_more_than_half():
    assert len(note_copies(images(1, 1, 2, 2))) == 1
    with pytest.raises(ValueError, match='3 of 5 images'):
        note_copies(images(1, 1, 1, 1, 2))
    with pytest.raises(ValueError, match='2 of 3 test images'):
        note_copies(images(1, 2, 3), images(1, 2))
