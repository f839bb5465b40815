# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import itertools

import pytest
import torch

from experiments.toy import (
    Settings,
    draw_batches,
    draw_views,
    sample_blobs,
)


def test_the_blobs_are_isotropic_gaussians_around_their_centres():
    settings = Settings(samples=4000, held_out=1000, spread=0.2)
    blobs = sample_blobs(5, 3, settings)
    assert blobs.points.shape == (20000, 3)
    assert blobs.held_out_points.shape == (5000, 3)
    assert blobs.centres.abs().max() <= 1
    assert torch.equal(blobs.labels, torch.arange(5).repeat_interleave(4000))
    for points, labels, number in (
        (blobs.points, blobs.labels, 4000),
        (blobs.held_out_points, blobs.held_out_labels, 1000),
    ):
        for c, centre in enumerate(blobs.centres):
            members = points[labels == c].double()
            assert len(members) == number
            # five standard errors of a mean, and of an entry of a covariance
            error = (members.mean(0) - centre).abs().max()
            assert error < 5 * 0.2 / number**0.5
            wrong = members.T.cov() - 0.2**2 * torch.eye(3)
            assert wrong.abs().max() < 5 * 2**0.5 * 0.2**2 / number**0.5


def test_the_centres_are_uniform_in_the_box():
    settings = Settings(samples=4, held_out=1)
    centres = sample_blobs(2000, 0, settings).centres
    # U(-1, 1): mean 0, variance 1/3; five standard errors
    assert centres.mean(0).abs().max() < 5 * (1 / 3 / 2000) ** 0.5
    fourth = 1 / 5 - 1 / 9  # variance of a square
    wrong = (centres.square().mean(0) - 1 / 3).abs().max()
    assert wrong < 5 * (fourth / 2000) ** 0.5


def test_blobs_are_a_function_of_classes_and_seed():
    settings = Settings(samples=20)
    first, second = (sample_blobs(3, 1, settings) for _ in range(2))
    assert torch.equal(first.points, second.points)
    assert not torch.equal(first.points, sample_blobs(3, 2, settings).points)
    other = sample_blobs(4, 1, settings).points[:60]
    assert not torch.equal(first.points, other)
    # the held-out points are fresh ones
    assert not set(first.points[:, 0].tolist()) & set(
        first.held_out_points[:, 0].tolist()
    )


def test_views_are_independent_noise_around_the_point():
    points = torch.randn(20000, 3, generator=torch.Generator().manual_seed(0))
    before = points.clone()
    views = draw_views(points, 0.3, torch.Generator().manual_seed(1))
    assert torch.equal(points, before) and len(views) == 2
    query, key = (view - points for view in views)
    for noise in (query, key):
        assert noise.mean(0).abs().max() < 5 * 0.3 / 20000**0.5
        assert abs(noise.std() - 0.3) < 5 * 0.3 / (2 * 60000) ** 0.5
    assert (query * key).mean().abs() < 5 * 0.3**2 / 60000**0.5


def test_batches_visit_each_point_once_a_pass():
    generator = torch.Generator().manual_seed(0)
    batches = list(itertools.islice(draw_batches(10, 3, generator), 6))
    for passed in (batches[:3], batches[3:]):
        places = torch.cat(passed).tolist()
        assert len(places) == 9 == len(set(places))
        assert set(places) < set(range(10))
    assert [b.tolist() for b in batches[:3]] != [
        b.tolist() for b in batches[3:]
    ]


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(samples=0), 'settings.samples .* got 0'),
        (dict(steps=2.5), 'settings.steps .* got 2.5'),
        (dict(noise=0.0), 'settings.noise'),
        (dict(lr=float('nan')), 'settings.lr'),
        (dict(warmup_rounds=-1), 'settings.warmup_rounds'),
        (dict(rounds=4), 'warmup_rounds=4 leaves none of rounds=4'),
        (dict(queue_len=1000), 'queue_len=1000 must be a multiple of batch'),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Settings(**changes)


@pytest.mark.parametrize(
    'classes, changes, message',
    [
        (1, {}, '--classes .* got 1'),
        (2.0, {}, '--classes .* got 2.0'),
        (3, dict(samples=300), '900 points.*at least 334 samples'),
        (1500, dict(samples=3), 'at least 4 samples'),
        (
            2,
            dict(samples=600, batch_size=1400, queue_len=1400),
            'a batch holds 1400.*at least 700 samples',
        ),
    ],
)
def test_classes_that_do_not_fit_the_sizes_are_refused(
    classes, changes, message
):
    with pytest.raises(ValueError, match=message):
        Settings(**changes).check_classes(classes)
