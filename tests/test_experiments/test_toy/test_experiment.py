# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from mmengine.model import BaseModule
from torch import nn

from experiments.runner.run import run_from_json
from experiments.toy import (
    Blobs,
    PointClusteringHook,
    measure,
    sample_blobs,
    toy_run,
    train,
)
from experiments.toy.experiment import perform
from pauc_mm.clustering import FaissKMeans, concentration
from pauc_mm.engine.hooks import ClusteringHook
from pauc_mm.utils import derive_seed
from tests.test_experiments.test_toy.helpers import TINY


class First(BaseModule):
    """A backbone whose features are the first two coordinates."""

    def forward(self, x):
        return (x[:, :2],)


def on_the_circle(angles, labels, held_out=None):
    """Blobs that First puts at these angles."""

    def points(a):
        return torch.stack([a.cos(), a.sin(), a], dim=1).float()

    fresh = angles if held_out is None else held_out
    return Blobs(
        points=points(angles),
        labels=labels,
        held_out_points=points(fresh),
        held_out_labels=labels,
        centres=torch.zeros(int(labels.max()) + 1, 3),
    )


def first():
    model = nn.Module()
    model.backbone, model.neck = First(), nn.Identity()
    return model


def test_measures_of_classes_coagulated_at_the_corners_of_a_square():
    labels = torch.arange(4).repeat_interleave(300)
    blobs = on_the_circle(labels * math.pi / 2 + 0.3, labels)
    measures, angles = measure(first(), blobs)
    # four neighbours at sqrt(2), two opposites at 2
    chord = (4 * 2**0.5 + 2 * 2) / 6
    assert measures['nemd_classes'] == pytest.approx(chord, abs=1e-6)
    assert measures['variance_classes'] == pytest.approx(0, abs=1e-6)
    assert measures['void'] == pytest.approx(0.96)  # 4 of 100 arcs
    assert measures['knn'] == 1
    # of 1200 points, 299 others at distance 0, 600 at sqrt(2), 300 at 2
    kernel = (299 + 600 * math.exp(-4) + 300 * math.exp(-8)) / 1199
    assert measures['uniformity'] == pytest.approx(math.log(kernel), abs=1e-6)
    turn = np.exp(1j * (angles - labels.numpy() * math.pi / 2 - 0.3))
    assert np.allclose(turn, 1, atol=1e-6)
    assert angles.dtype == np.float32


def test_clusters_are_found_where_the_classes_do_not_show():
    places = torch.arange(2).repeat_interleave(600)
    mixed = torch.arange(1200) % 2
    measures, _ = measure(first(), on_the_circle(places * math.pi, mixed))
    assert measures['nemd_clusters'] == pytest.approx(2, abs=1e-6)
    assert measures['variance_clusters'] == pytest.approx(0, abs=1e-6)
    assert measures['variance_classes'] == pytest.approx(1, abs=1e-6)


def test_measures_of_classes_that_share_the_whole_circle():
    angles = torch.arange(4000) * (2 * math.pi / 4000)
    labels = torch.arange(4000) % 2  # alternating: kNN sees both alike
    measures, _ = measure(first(), on_the_circle(angles, labels))
    assert measures['void'] == 0
    assert measures['variance_classes'] == pytest.approx(1, abs=1e-6)
    # E exp(-2 |x - y|^2) = exp(-4) I_0(4)
    bessel = float(torch.special.i0(torch.tensor(4.0, dtype=torch.float64)))
    expected = math.log(math.exp(-4) * bessel)
    assert measures['uniformity'] == pytest.approx(expected, abs=0.01)
    # k-means halves the circle: 1 - (2 / pi)^2
    halves = 1 - (2 / math.pi) ** 2
    assert measures['variance_clusters'] == pytest.approx(halves, abs=0.01)


def test_knn_is_of_the_held_out_points():
    labels = torch.arange(2).repeat_interleave(600)
    angles = labels * 2.0 + torch.linspace(0, 0.5, 1200)
    swapped = (1 - labels) * 2.0 + torch.linspace(0, 0.5, 1200)
    blobs = on_the_circle(angles, labels, held_out=swapped)
    assert measure(first(), blobs)[0]['knn'] == 0


def test_a_total_collapse_has_no_clusters_to_compare():
    labels = torch.arange(2).repeat_interleave(600)
    blobs = on_the_circle(torch.zeros(1200), labels)
    measures, _ = measure(first(), blobs)
    assert measures['nemd_clusters'] is None
    assert measures['variance_clusters'] is None
    assert measures['nemd_classes'] == pytest.approx(0, abs=1e-9)
    assert measures['uniformity'] == pytest.approx(0, abs=1e-9)
    assert measures['void'] == pytest.approx(0.99)


def test_the_e_step_is_the_clustering_hooks(monkeypatch):
    seen = []
    e_step = ClusteringHook.e_step

    def spy(hook, runner, epoch):
        e_step(hook, runner, epoch)
        prototypes = runner.model.prototypes
        # before any step is made with them
        embeddings = hook._embed(runner, epoch).gather()
        seen.append((epoch, prototypes.clustering(), embeddings))

    monkeypatch.setattr(ClusteringHook, 'e_step', spy)
    model = train('pcl', 4, TINY, sample_blobs(3, 4, TINY))
    assert [epoch for epoch, _, _ in seen] == [1, 2]  # one round of warm-up
    assert not model.training
    clusterer = FaissKMeans(
        niter=TINY.kmeans_iterations,
        nredo=1,
        max_points_per_centroid=TINY.kmeans_points,
    )
    for epoch, state, embeddings in seen:
        assert torch.allclose(embeddings.norm(dim=1), torch.ones(1050))
        for m, k in enumerate((3, 6, 12)):
            seed = derive_seed(4, epoch, m)
            result = clusterer.fit(embeddings.numpy(), k, seed)
            assigned = torch.from_numpy(result.assignments)
            assert torch.equal(state['assignments'][m].long(), assigned)
            means = torch.from_numpy(result.mean_distances)
            sizes = torch.bincount(assigned)
            phi = concentration(means, sizes, TINY.temperature)
            assert torch.allclose(state['concentrations'][m], phi)
            assert float(phi.mean()) == pytest.approx(0.1, rel=1e-4)


def test_the_hook_embeds_with_the_momentum_encoder():
    blobs = sample_blobs(3, 0, TINY)
    model = train('pcl', 0, TINY, blobs)
    hook = PointClusteringHook(blobs.points, TINY)
    runner = type('Runner', (), dict(model=model))
    found = hook._embed(runner, 0).gather()
    backbone, neck = model.encoder_k.module
    expected = nn.functional.normalize(neck(backbone(blobs.points))[0], dim=1)
    assert torch.allclose(found, expected, atol=1e-6)
    query = model.neck(model.backbone(blobs.points))[0]
    assert not torch.allclose(
        found, nn.functional.normalize(query, dim=1), atol=1e-3
    )


@pytest.mark.parametrize('method', ['moco', 'pauc-20-20-5'])
def test_a_run_repeats_and_leaves_the_process_as_it_was(method):
    before = torch.random.get_rng_state(), torch.get_num_threads()
    (metrics, angles), (again, same) = (
        perform(method, 3, 1, TINY) for _ in range(2)
    )
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert before[1] == torch.get_num_threads()
    assert np.array_equal(angles, same) and angles.shape == (1050,)
    assert metrics == again
    assert all(math.isfinite(value) for value in metrics.values())


@pytest.mark.slow
def test_the_literal_sign_collapses_to_a_point_and_ours_does_not():
    settings = replace(TINY, rounds=4, steps=40)
    literal, ours = (
        perform(method, 3, 0, settings)[0]
        for method in ('pauc-literal', 'pauc-20-20-5')
    )
    assert literal['uniformity'] > -0.1 and literal['nemd_classes'] < 0.2
    assert ours['uniformity'] < -0.8 and ours['nemd_classes'] > 1


def test_a_divergence_is_an_outcome(tmp_path):
    run = toy_run('moco', 3, 0, replace(TINY, lr=1e30))
    outcome = run.execute(tmp_path)
    assert outcome['metrics'] == {}
    assert 'lr=1e+30' in outcome['diverged']


def test_the_digest_changes_with_all_that_matters():
    runs = [
        toy_run('pcl', 3, 0, TINY),
        toy_run('pcl', 4, 0, TINY),
        toy_run('pcl', 3, 1, TINY),
        toy_run('moco', 3, 0, TINY),
        toy_run('pcl', 3, 0, replace(TINY, noise=0.2)),
    ]
    assert len({run.digest() for run in runs}) == 5
    again = run_from_json(runs[0].to_json())
    assert again.digest() == runs[0].digest() and str(again) == 'pcl_c3_s0'


@pytest.mark.parametrize(
    'run, message',
    [
        (('pca', 3, 0), "--methods: 'pca'"),
        (('pcl', 1, 0), '--classes must be .* >= 2, got 1'),
        (('pcl', 3, -1), '--seeds must be .* >= 0, got -1'),
    ],
)
def test_wrong_runs_are_refused(run, message):
    with pytest.raises(ValueError, match=message):
        toy_run(*run, TINY)
