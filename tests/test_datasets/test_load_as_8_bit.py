# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from mmpretrain.registry import TRANSFORMS
from PIL import Image

from pauc_mm.checkpoints.config import read_config
from pauc_mm.datasets import ImageFolder, LoadImageAs8Bit
from pauc_mm.utils.shipped_files import resolve_config


def load(path, **options):
    loader = TRANSFORMS.build(dict(type='LoadImageAs8Bit', **options))
    return loader(dict(img_path=str(path)))['img']


@pytest.mark.parametrize('extension', ['png', 'tif'])
@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('bits', [8, 10, 12, 16])
def test_bits_in_use_become_256_levels(tmp_path, extension, channels, bits):
    path = tmp_path / f'a.{extension}'
    levels = np.arange(256, dtype='u2') << (bits - 8)
    image = levels.reshape(16, 16)
    cv2.imwrite(str(path), np.dstack([image] * channels).squeeze())
    expected = np.arange(256).reshape(16, 16)
    assert (load(path, bits=bits) == expected[..., None]).all()
    grey = load(path, bits=bits, color_type='grayscale')
    assert grey.shape == (16, 16)
    if channels == 1:
        assert (grey == expected).all()


def test_colours_stay_in_the_order_of_opencv(tmp_path):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), np.full((2, 2, 3), (16, 160, 1600), 'u2'))
    assert load(path, bits=12)[0, 0].tolist() == [1, 10, 100]


@pytest.mark.parametrize('used, bits', [(4096, 12), (256, 8)])
def test_a_pixel_that_needs_more_bits(tmp_path, used, bits):
    path = tmp_path / 'a.png'
    Image.fromarray(np.full((3, 3), used, 'u2')).save(path)
    with pytest.raises(ValueError, match=rf'a\.png.*{used}.*bits={bits}'):
        load(path, bits=bits)
    Image.fromarray(np.full((3, 3), used - 1, 'u2')).save(path)
    assert (load(path, bits=bits) == 255).all()


def test_a_pixel_of_real_numbers(tmp_path):
    path = tmp_path / 'a.tif'
    cv2.imwrite(str(path), np.full((3, 3, 3), 0.5, 'f4'))
    with pytest.raises(ValueError, match=r'a\.tif.*float32'):
        load(path, bits=12)


def of_palette(path):
    image = Image.new('P', (2, 2), 1)
    image.putpalette([9, 9, 9, 200, 100, 0])
    image.save(path, transparency=1)


TRANSPARENT = {
    'half': (
        lambda p: Image.new('RGBA', (2, 2), (200, 100, 0, 51)).save(p),
        [244, 224, 204],  # 0.2 * colour + 0.8 * 255
    ),
    'whole': (
        lambda p: Image.new('RGBA', (2, 2), (200, 100, 0, 0)).save(p),
        [255, 255, 255],
    ),
    'of a palette': (of_palette, [255, 255, 255]),
    'grey': (
        lambda p: Image.new('LA', (2, 2), (0, 204)).save(p),
        [51, 51, 51],
    ),
    'opaque': (
        lambda p: Image.new('RGB', (2, 2), (200, 100, 0)).save(p),
        [200, 100, 0],
    ),
}


@pytest.mark.parametrize('name', TRANSPARENT)
def test_a_background_below_transparency(tmp_path, name):
    make, expected = TRANSPARENT[name]
    make(tmp_path / 'a.png')
    image = load(tmp_path / 'a.png', background=[255, 255, 255])
    assert image.dtype == np.uint8
    assert image[1, 1, ::-1].tolist() == expected


def test_a_turned_picture_is_turned(tmp_path):
    image = Image.new('RGBA', (4, 2), (0, 0, 0, 0))
    exif = Image.Exif()
    exif[274] = 6
    image.save(tmp_path / 'a.png', exif=exif)
    white = load(tmp_path / 'a.png', background=[255, 255, 255])
    assert white.shape == (4, 2, 3)


def test_without_options_it_is_the_loader_of_mmcv(tmp_path):
    path = tmp_path / 'a.png'
    Image.new('RGBA', (4, 2), (200, 100, 0, 51)).save(path)
    results = [
        loader(dict(img_path=str(path)))
        for loader in (LoadImageFromFile(), LoadImageAs8Bit())
    ]
    assert (results[0].pop('img') == results[1].pop('img')).all()
    assert results[0] == results[1]


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(bits=7), 'bits .*7'),
        (dict(bits=17), 'bits .*17'),
        (dict(background=[255, 255]), 'background .*255, 255'),
        (dict(background=[0, 0, 256]), 'background .*256'),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        LoadImageAs8Bit(**options)


def test_the_recipe_of_a_folder_takes_both_everywhere(
    tmp_path, monkeypatch, log_lines
):
    Image.fromarray(np.full((9, 9), 4095, 'u2')).save(tmp_path / 'a.png')
    Image.new('RGBA', (9, 9), (9, 9, 9, 0)).save(tmp_path / 'b.png')
    ImageFolder(str(tmp_path))
    assert any('IMAGE_BITS' in line for line in log_lines)
    log_lines.clear()
    monkeypatch.setenv('DATA_ROOT', str(tmp_path))
    monkeypatch.setenv('IMAGE_BITS', '12')
    monkeypatch.setenv('BACKGROUND', '255,255,255')
    cfg = read_config(resolve_config('pauc/pauc_r18_folder'))
    pipelines = [
        cfg.train_dataloader.dataset.pipeline,
        cfg.val_dataloader.dataset.pipeline,
        cfg.default_hooks.clustering.pipeline,
    ]
    for loads, *_ in pipelines:
        images = ImageFolder(str(tmp_path), pipeline=[loads])
        assert [images[i]['img'].min() for i in range(2)] == [255, 255]
    assert not any('is lost' in line for line in log_lines)
