# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import json
import math

import pytest
import torch
import torch.nn.functional as F

from pauc_mm.diagnosis.clusterings import find_clusterings
from pauc_mm.diagnosis.criteria import CRITERIA
from pauc_mm.diagnosis.measures import headline, measure, measure_space
from pauc_mm.diagnosis.verdict import COLLAPSES, judge
from pauc_mm.evaluation import functional
from pauc_mm.evaluation.functional import (
    clid,
    effective_rank,
    intra_group_variance,
    koleo,
    lidar,
    nemd,
    uniformity,
    view_agreement,
)
from pauc_mm.evaluation.functional.checks import subsample
from tests.test_diagnosis.stubs import DIM, blobs, embedded, encoder, unit


def diagnosed(vectors, prototypes=None, labels=None, k=None, **given):
    images = embedded(vectors, **given)
    own = encoder(prototypes)
    measures = measure(images, find_clusterings(own, images, k), labels)
    json.dumps(measures, allow_nan=False)
    return measures, judge(headline(measures))


def test_values_are_those_of_the_functions():
    vectors, labels = blobs()
    measures, _ = diagnosed(vectors, k=[5], labels=labels)
    space = measures['spaces']['embedding']
    assert space['uniformity'] == pytest.approx(uniformity(vectors))
    assert space['effective_rank'] == pytest.approx(effective_rank(vectors))
    assert space['rank_share'] == pytest.approx(effective_rank(vectors) / DIM)
    centred = vectors.double() - vectors.double().mean(0)
    values = torch.linalg.svdvals(centred)
    assert space['top_axis_share'] == pytest.approx(
        (values[0] ** 2 / (values**2).sum()).item()
    )
    found = measures['clusterings'][0]
    assert found['intra_variance'] == pytest.approx(
        intra_group_variance(vectors, labels)  # k-means finds the blobs
    )
    assert found['nemd']['value'] == pytest.approx(
        nemd(vectors, labels).value, rel=0.02
    )
    assert found['adjusted_mutual_information'] == pytest.approx(1)
    assert found['label_information'] == pytest.approx(math.log(5))
    assert found['sizes'] == [60] * 5 and found['empty_share'] == 0
    assert measures['labels']['knn']['embedding']['k20'] == 1
    assert measures['labels']['entropy'] == pytest.approx(math.log(5))


def test_label_free_measures_are_those_of_the_functions():
    vectors, labels = blobs()
    views = torch.stack([vectors, vectors + 0.3 * unit(300, 1)])
    views = F.normalize(views, dim=2)
    own = unit(12, 3)
    features = 3 * unit(300, 4, dim=20)
    measures, _ = diagnosed(
        vectors, {'own': own}, views=views, features=features
    )
    values = headline(measures)
    for name in ('rankme', 'stable_rank', 'nesum', 'alpha_req', 'koleo'):
        measure_of = getattr(functional, name)
        assert values[name] == pytest.approx(measure_of(vectors), rel=1e-5)
        of_features = measures['spaces']['feature'][name]
        expected = measure_of(F.normalize(features, dim=1))
        assert of_features == pytest.approx(expected, rel=1e-5)
    assert values['lidar'] == pytest.approx(
        lidar(torch.stack(list(views), dim=1)), rel=1e-6
    )
    assert values['view_agreement'] == view_agreement(*views, own) < 1
    assert values['prototype_koleo'] == pytest.approx(koleo(own), abs=1e-6)
    # Fifteen clusters cut the five blobs, each by the same lines as here.
    found = clid(vectors, labels)
    assert values['intrinsic_dimension'] == pytest.approx(found.dimension)
    assert 0.3 < values['cluster_learnability'] < found.learnability == 1


def test_neighbours_are_those_of_a_sample(monkeypatch):
    monkeypatch.setattr('pauc_mm.diagnosis.measures.MAX_NEIGHBOURS', 50)
    vectors = unit(80)
    sample = subsample(vectors, 50, seed=3)
    found = measure_space(vectors, seed=3)
    assert found['koleo'] == pytest.approx(koleo(sample), abs=1e-6)
    assert found['intrinsic_dimension'] == pytest.approx(
        functional.intrinsic_dimension(sample), rel=1e-5
    )


@pytest.mark.slow
def test_spread_embeddings_are_healthy():
    vectors = unit(2000)
    views = torch.stack([vectors, unit(2000, 1) * 0.1 + vectors])
    _, verdict = diagnosed(
        vectors, {'own': unit(50, 3)}, views=F.normalize(views, dim=2)
    )
    assert verdict.level == 'good', verdict
    assert verdict.title == 'No collapse found.'
    assert len(verdict.sentences) == 1


def test_one_point_is_a_complete_collapse_and_nothing_else():
    point = unit(1).expand(300, -1) + 1e-4 * unit(300, 1)
    measures, verdict = diagnosed(F.normalize(point, dim=1), k=[4])
    assert verdict.title == 'Collapsed: complete collapse.'
    assert headline(measures)['uniformity'] > -1e-3


def test_exactly_one_point_does_not_break_it():
    measures, verdict = diagnosed(unit(1).repeat(300, 1))
    assert verdict.title == 'Collapsed: complete collapse.'
    assert headline(measures)['effective_rank'] == 0
    assert 'nemd' not in headline(measures)
    assert headline(measures)['koleo'] == pytest.approx(-math.log(1e-8))
    undefined = {'alpha_req', 'cluster_learnability', 'intrinsic_dimension'}
    assert not undefined & set(headline(measures))


@pytest.mark.slow
def test_a_plane_is_a_dimensional_collapse():
    vectors = torch.zeros(2000, 128)
    vectors[:, :2] = unit(2000, dim=2)
    measures, verdict = diagnosed(vectors)
    assert 'dimensional collapse' in verdict.title
    assert headline(measures)['effective_rank'] == pytest.approx(2, rel=0.01)


@pytest.mark.slow
def test_copies_are_a_partial_prototype_collapse():
    few = unit(5, 4)
    copies = F.normalize(few.repeat(20, 1) + 1e-3 * unit(100, 5), dim=1)
    measures, verdict = diagnosed(unit(2000), {'own': copies})
    assert verdict.level == 'bad'
    assert 'partial prototype collapse' in verdict.title
    assert headline(measures)['unique_share'] == 0.05


@pytest.mark.slow
def test_epsilon_decides_what_a_copy_is():
    images = embedded(unit(300))
    clusterings = find_clusterings(encoder({'own': unit(50, 3)}), images)
    wide = measure(images, clusterings, epsilon=1.9)
    assert headline(wide)['unique_at_epsilon'] == 0.02
    # The verdict has its limits for 0.025 alone.
    assert headline(wide)['unique_share'] == 1
    assert 'unique_at_epsilon' not in headline(measure(images, clusterings))
    assert judge(headline(wide)).level == 'good'


def test_points_for_prototypes_are_coagulated():
    vectors, _ = blobs(classes=16, members=40, noise=1e-3)
    _, verdict = diagnosed(vectors, {'own': torch.eye(16)})
    assert 'coagulated prototypes' in verdict.title


def test_unused_prototypes():
    vectors, _ = blobs()
    measures, verdict = diagnosed(vectors, {'own': torch.eye(16)})
    assert headline(measures)['empty_share'] == 11 / 16
    assert 'unused prototypes' in verdict.title


@pytest.mark.slow
def test_sizes_are_not_judged_on_few_images():
    measures, verdict = diagnosed(unit(300), {'own': unit(100, 3)})
    assert 'empty_share' not in headline(measures)
    judged, _ = diagnosed(unit(2000), {'own': unit(100, 3)})
    assert 'empty_share' in headline(judged)


def test_prototypes_without_a_projection_still_count():
    images = embedded(unit(300))
    own = encoder({'own': unit(1, 2, dim=7).repeat(10, 1)}, 'other')
    measures = measure(images, find_clusterings(own, images))
    values = headline(measures)
    assert values['unique_share'] == 0.1
    assert values['nemd'] > 0  # of k-means


def test_features_alone_are_enough():
    images = embedded(unit(300))
    images.embeddings = None
    measures = measure(images, find_clusterings(encoder(), images))
    assert list(measures['spaces']) == ['feature']
    # ReLU features fill a part of the sphere: they have another limit.
    assert headline(measures)['weak_uniformity'] < -2


def test_pixels_are_the_baseline_of_features():
    vectors, labels = blobs()
    measures, _ = diagnosed(vectors, labels=labels)
    assert headline(measures)['knn_above_pixels'] > 0.5
    measures, verdict = diagnosed(
        unit(300), labels=labels, pixels=vectors.half()
    )
    assert headline(measures)['knn_above_pixels'] < -0.5
    assert any('raw pixels' in sentence for sentence in verdict.sentences)


def test_alignment_is_that_of_the_views():
    first, second = unit(100), unit(100, 1)
    measures, _ = diagnosed(unit(300), views=torch.stack([first, second]))
    expected = (first - second).square().sum(1).mean().item()
    assert headline(measures)['alignment'] == pytest.approx(expected)


@pytest.mark.slow
def test_positive_features_are_no_collapse():
    images = embedded(unit(2000, dim=64).relu())
    images.embeddings = None
    measures = measure(images, find_clusterings(encoder(), images))
    values = headline(measures)
    assert values['void_projected'] > 0.5  # an artefact of the projection
    assert judge(values).level == 'good', judge(values)


def test_single_images_are_not_coagulated():
    vectors, _ = blobs(classes=16, members=40, noise=0.5)
    own = {'own': torch.cat([torch.eye(16), unit(2000, 3)])}
    measures, verdict = diagnosed(vectors, own)
    assert 'intra_variance' not in headline(measures)
    assert 'coagulated' not in verdict.title
    alone, _ = diagnosed(torch.eye(16).repeat(3, 1), {'own': torch.eye(16)})
    assert alone['clusterings'][0]['intra_variance'] == 0  # three of each


def test_few_prototypes_have_no_even_sizes():
    measures, verdict = diagnosed(unit(2000), {'own': unit(1, 3)})
    assert 'largest_share' not in headline(measures)
    assert verdict.level == 'good', verdict


def test_prototypes_that_are_zero_are_left_out():
    prototypes = torch.cat([unit(4, 3), torch.zeros(2, DIM)])
    measures, _ = diagnosed(unit(300), {'own': prototypes})
    found = measures['clusterings'][0]
    assert found['num_prototypes'] == 4
    assert '2 zero' in found['name']


def test_classes_of_one_image():
    labels = torch.arange(300)
    measures, _ = diagnosed(unit(300), labels=labels)
    assert measures['labels']['label_information'] is None


def test_levels():
    by_key = {criterion.key: criterion for criterion in CRITERIA}
    assert len(by_key) == len(CRITERIA)
    assert {c.collapse for c in CRITERIA} == {'', *COLLAPSES}
    for value, level in ((-3, 'good'), (-1.5, 'watch'), (-0.5, 'bad')):
        assert by_key['uniformity'].level(value) == level
    for value, level in ((1, 'good'), (0.9, 'watch'), (0.015, 'bad')):
        assert by_key['unique_share'].level(value) == level
    # NEMD alone says nothing, whatever it is.
    assert {by_key['nemd'].level(v) for v in (0, 1, 2)} == {None}
    with pytest.raises(ValueError, match='uniformity .* nan'):
        by_key['uniformity'].level(math.nan)


def test_embeddings_at_right_angles_to_the_plane():
    vectors = torch.eye(DIM).repeat(20, 1)
    measures, _ = diagnosed(vectors, {'own': torch.eye(DIM)})
    assert 'no part in the plane' in measures['circle']['why']
    assert 'void_fraction' not in headline(measures)
