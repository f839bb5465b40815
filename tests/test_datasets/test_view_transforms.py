# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Against torchvision and mmpretrain at equal parameters, and their draws."""

import cv2
import numpy as np
import pytest
import torch
from mmpretrain.datasets.transforms import RandomResizedCrop
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as vision

from pauc_mm.datasets.view_transforms import (
    ViewColorJitter,
    ViewFlip,
    ViewGaussianBlur,
    ViewGrayscale,
    ViewResizedCrop,
    ViewSolarize,
    apply_to_batch,
)

STEPS = ('brightness', 'contrast', 'saturation', 'hue')


def smooth_images(number=3, height=48, width=64):
    """Smooth coloured images with noise, RGB, uint8."""
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (number, 4, 5, 3)).astype(np.float32)
    images = [cv2.resize(c, (width, height)) for c in coarse]
    images += rng.normal(0, 8, (number, height, width, 3))
    return np.clip(images, 0, 255).astype(np.uint8)


PIXELS = smooth_images()
BATCH = torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 255


def on_the_cpu(transform, row):
    """Batch of the images, each transformed as 8-bit BGR."""
    out = [
        transform._on_image(np.ascontiguousarray(p[..., ::-1]), row)
        for p in PIXELS
    ]
    assert {image.dtype for image in out} == {np.dtype(np.uint8)}
    stack = torch.from_numpy(np.stack(out)[..., ::-1].copy())
    return stack.permute(0, 3, 1, 2).float() / 255


def jitter_row(step, factor):
    row = np.array([1.0, 1, 1, 0, 0, 1, 2, 3])
    row[STEPS.index(step)] = factor
    return row


def blurred(images, sigma):
    return vision.gaussian_blur(images, [13, 13], [sigma, sigma])


# Greatest differences from torchvision on float images, in levels of 255: of
# the batch, and of 8 bits, where Pillow's are 0.8, 1.2, 1.3 and 11.
CASES = [
    ('brightness', [0.2, 0.6, 1.8], 0.001, 0.51),
    ('contrast', [0.2, 0.6, 1.8], 0.001, 0.51),
    ('saturation', [0.0, 0.6, 1.8], 0.001, 1.01),
    ('hue', [-0.4, -0.03, 0.1, 0.5], 0.001, 11),
]


@pytest.mark.parametrize('step, factors, of_batch, of_bytes', CASES)
def test_the_jitters_steps(step, factors, of_batch, of_bytes):
    jitter = ViewColorJitter(0.5, 0.5, 0.5, 0.1)
    adjust = getattr(vision, f'adjust_{step}')
    for factor in factors:
        expected = adjust(BATCH, factor)
        row = jitter_row(step, factor)
        batch = jitter._on_batch(BATCH, np.tile(row, (3, 1)))
        assert float((batch - expected).abs().max()) * 255 < of_batch
        found = on_the_cpu(jitter, row)
        assert float((found - expected).abs().max()) * 255 < of_bytes
        assert float((found - expected).abs().mean()) * 255 < 0.8


def test_each_image_has_its_own_factors_and_order():
    jitter = ViewColorJitter(0.9, 0.9, 0.9, 0.5)
    rows = jitter.parameters(np.random.default_rng(0).random((3, 8)))
    batch = jitter._on_batch(BATCH, rows)
    assert len({tuple(row[4:]) for row in rows}) == 3
    for image, row, expected in zip(batch, rows, BATCH):
        for step in row[4:].astype(int):
            adjust = getattr(vision, f'adjust_{STEPS[step]}')
            expected = adjust(expected, row[step])
        torch.testing.assert_close(image, expected, atol=1e-4, rtol=0)
    single = torch.cat([jitter._on_batch(BATCH[:1], rows[:1])])
    assert torch.equal(single, batch[:1])


def test_blur():
    blur = ViewGaussianBlur(sigma=(0.1, 2.0))
    sigmas = np.array([[0.3], [1.0], [2.0]])
    batch = blur._on_batch(BATCH, sigmas)
    for i, (sigma,) in enumerate(sigmas):
        expected = blurred(BATCH, sigma)
        torch.testing.assert_close(batch[i], expected[i], atol=4e-6, rtol=0)
        difference = on_the_cpu(blur, [sigma]) - expected
        assert float(difference.abs().max()) * 255 < 2


def test_grey_solarize_and_flip():
    for transform, expected, of_bytes in (
        (ViewGrayscale(), vision.rgb_to_grayscale(BATCH, 3), 1.01),
        (ViewSolarize(128), vision.solarize(BATCH, 128 / 255), 0.001),
        (ViewFlip(), vision.horizontal_flip(BATCH), 0.001),
    ):
        rows = np.empty((3, 0))
        batch = transform._on_batch(BATCH, rows)
        torch.testing.assert_close(batch, expected, atol=1e-6, rtol=0)
        found = on_the_cpu(transform, rows[0])
        assert float((found - expected).abs().max()) * 255 < of_bytes


@pytest.mark.parametrize('kind', ['bilinear', 'bicubic'])
def test_the_crop_is_mmpretrains(kind):
    options = dict(scale=24, interpolation=kind, crop_ratio_range=(0.2, 1.0))
    ours = ViewResizedCrop(**options)
    other = RandomResizedCrop(**options, backend='pillow')
    for seed in range(20):
        found = []
        for crop in (ours, other):
            np.random.seed(seed)
            found.append(crop(dict(img=PIXELS[0]))['img'].astype(int))
        assert found[0].shape == (24, 24, 3)
        assert abs(found[0] - found[1]).max() <= 1
        np.random.seed(seed)
        ours.is_last = True
        assert (ours(dict(img=PIXELS[0]))['img'] == found[0]).all()
        ours.is_last = False


def test_red_is_red():
    """The CPU's images are in OpenCV's order, and red weighs 0.299."""
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 2] = 255
    for transform, expected in (
        (ViewColorJitter(), (0, 0, 255)),
        (ViewGrayscale(prob=1), (76, 76, 76)),
    ):
        image = transform(dict(img=red))['img'].astype(int)
        assert abs(image - expected).max() <= 1
    for step, factor, expected in (
        ('saturation', 0, (76, 76, 76)),
        ('hue', 1 / 3, (0, 255, 0)),
    ):
        row = jitter_row(step, factor)
        image = ViewColorJitter()._on_image(red, row).astype(int)
        assert abs(image - expected).max() <= 2


# ---- draws -----------------------------------------------------------------
def test_the_jitter_draws_as_torchvision():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    jitter = v2.ColorJitter(0.4, 0.8, 0.2, 0.1)
    ours = ViewColorJitter(0.4, 0.8, 0.2, 0.1)
    rows = ours.parameters(rng.random((4000, 8)))
    theirs = [jitter.make_params([]) for _ in range(4000)]
    levels = np.linspace(0, 1, 21)
    for i, step in enumerate(STEPS):
        factors = [p[f'{step}_factor'] for p in theirs]
        width = np.ptp(factors)
        found = np.quantile(rows[:, i], levels)
        np.testing.assert_allclose(
            found, np.quantile(factors, levels), atol=0.04 * width
        )
    orders, counts = np.unique(rows[:, 4:], axis=0, return_counts=True)
    assert len(orders) == 24
    assert abs(counts / 4000 - 1 / 24).max() < 0.015  # 4.7 sigma
    # Factors and order are drawn apart.
    assert abs(np.corrcoef(rows.T)[:4, 4:]).max() < 0.08


def test_probabilities_and_sigmas():
    rng = np.random.default_rng(0)
    transforms = [
        ViewGaussianBlur(sigma=(0.1, 2.0), prob=1.0),
        ViewFlip(prob=0.2),
        ViewGrayscale(prob=0),
    ]
    sigmas = transforms[0].parameters(rng.random((4000, 1)))
    np.testing.assert_allclose(
        np.quantile(sigmas, [0, 0.25, 0.5, 0.75, 1]),
        [0.1, 0.575, 1.05, 1.525, 2],
        atol=0.06,
    )
    column = torch.arange(2.0).expand(4000, 3, 1, 2) / 2
    batch = apply_to_batch(
        transforms[1:], column.clone(), lambda m: rng.random((4000, m))
    )
    share = float((batch[:, 0, 0, 0] == 0.5).float().mean())
    assert share == pytest.approx(0.2, abs=0.03)
    np.random.seed(0)
    image = np.array([[[0, 0, 1], [0, 0, 2]]], np.uint8)
    flips = [
        transforms[1](dict(img=image))['img'][0, 0, 2] == 2
        for _ in range(2000)
    ]
    assert np.mean(flips) == pytest.approx(0.2, abs=0.04)
    always = ViewFlip(prob=1)(dict(img=image))['img']
    assert always[0, :, 2].tolist() == [2, 1]


def test_whole_views_are_distributed_as_on_the_cpu():
    """Mean, contrast and colourfulness of views, CPU against batch."""
    transforms = [
        ViewColorJitter(0.4, 0.4, 0.4, 0.1, prob=0.8),
        ViewGrayscale(prob=0.2),
        ViewGaussianBlur(prob=0.5),
        ViewFlip(prob=0.5),
    ]
    small = PIXELS[0][:16, :16]
    number = 800
    np.random.seed(0)
    on_cpu = []
    for _ in range(number):
        results = dict(img=np.ascontiguousarray(small[..., ::-1]))
        for transform in transforms:
            results = transform(results)
        on_cpu.append(results['img'][..., ::-1] / 255)
    images = torch.from_numpy(small).permute(2, 0, 1).float() / 255
    rng = np.random.default_rng(1)
    batch = apply_to_batch(
        transforms,
        images.repeat(number, 1, 1, 1),
        lambda m: rng.random((number, m)),
    )
    views = np.array(on_cpu), batch.permute(0, 2, 3, 1).numpy()
    for measure in (
        lambda x: x.mean((1, 2, 3)),
        lambda x: x.std((1, 2, 3)),
        lambda x: np.ptp(x, axis=3).mean((1, 2)),
        lambda x: x[:, :, 0].mean((1, 2)),
    ):
        first, second = map(measure, views)
        levels = np.linspace(0.05, 0.95, 10)
        np.testing.assert_allclose(
            np.quantile(first, levels),
            np.quantile(second, levels),
            atol=0.12 * np.ptp(first),
        )


# ---- bad input -------------------------------------------------------------
@pytest.mark.parametrize(
    'make, message',
    [
        (lambda: ViewColorJitter(hue=0.6), r'ViewColorJitter\.hue.*0\.6'),
        (lambda: ViewColorJitter(-1), r'ViewColorJitter\.brightness.*-1'),
        (lambda: ViewColorJitter(contrast=(0, 1)), r'contrast.*\(0, 1\)'),
        (lambda: ViewColorJitter(saturation='a'), r"saturation.*'a'"),
        (lambda: ViewColorJitter(float('nan')), r'brightness.*nan'),
        (lambda: ViewFlip(prob=1.5), r'ViewFlip\.prob.*1\.5'),
        (lambda: ViewGrayscale(prob=None), r'ViewGrayscale\.prob.*None'),
        (lambda: ViewGaussianBlur((0, 2)), r'ViewGaussianBlur\.sigma.*0, 2'),
        (lambda: ViewGaussianBlur((2, 1)), r'ViewGaussianBlur\.sigma.*2, 1'),
        (lambda: ViewGaussianBlur(2), r'ViewGaussianBlur\.sigma.*2'),
        (lambda: ViewSolarize(300), r'ViewSolarize\.threshold.*300'),
        (
            lambda: ViewResizedCrop(8, interpolation='area'),
            r"ViewResizedCrop\.interpolation.*'area'",
        ),
        (
            lambda: ViewFlip()(dict(img=np.zeros((4, 4, 3)))),
            r"float64.*color_type='color'",
        ),
        (
            lambda: ViewResizedCrop(8)(dict(img=np.zeros((4, 4), np.uint8))),
            r"\(4, 4\).*color_type='color'",
        ),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()
