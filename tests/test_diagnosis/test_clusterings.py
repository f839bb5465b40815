# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from pauc_mm.diagnosis.clusterings import find_clusterings, nearest
from tests.test_diagnosis.stubs import blobs, embedded, encoder, unit


def test_nearest_is_the_largest_inner_product():
    vectors, prototypes = unit(50), unit(7, 1)
    assert torch.equal(
        nearest(vectors, prototypes), (vectors @ prototypes.T).argmax(1)
    )


def test_own_prototypes_need_no_k_means_and_are_normalised():
    vectors, labels = blobs()
    own = {'big': 3 * unit(9, 2), 'small': 5 * torch.eye(16)[:5]}
    clusterings = find_clusterings(encoder(own), embedded(vectors))
    assert [(c.name, c.own) for c in clusterings] == [
        ('small', True),
        ('big', True),
    ]
    assert torch.equal(clusterings[0].assignments, labels)
    assert clusterings[0].sizes.tolist() == [60] * 5
    for clustering in clusterings:
        torch.testing.assert_close(
            clustering.prototypes.norm(dim=1),
            torch.ones(len(clustering.prototypes)),
        )


def test_k_means_where_the_model_has_none_or_it_is_asked_for():
    vectors, labels = blobs()
    names = [c.name for c in find_clusterings(encoder(), embedded(vectors))]
    assert names == ['k-means, K = 3', 'k-means, K = 15']
    own = encoder({'own': unit(4)})
    clusterings = find_clusterings(own, embedded(vectors), [5])
    assert [c.name for c in clusterings] == ['own', 'k-means, K = 5']
    for members in labels.split(60):  # blobs are what k-means finds
        chosen = clusterings[1].assignments[
            members[0] * 60 : members[0] * 60 + 60
        ]
        assert len(chosen.unique()) == 1


def test_prototypes_of_another_space_are_not_compared():
    own = encoder({'p': unit(4)}, 'other')
    clusterings = find_clusterings(own, embedded(blobs()[0]))
    assert clusterings[0].assignments is None and clusterings[0].sizes is None
    assert [c.own for c in clusterings] == [True, False, False]


def test_prototypes_of_another_width():
    own = encoder({'clustering 0 (K=4)': unit(4, dim=3)})
    with pytest.raises(ValueError, match=r'0 \(K=4\) of 3 .* gives 16'):
        find_clusterings(own, embedded(blobs()[0]))


@pytest.mark.parametrize('k', [1, 151])
def test_impossible_number_of_clusters(k):
    with pytest.raises(ValueError, match=f'--clusters .* 150.* got {k}'):
        find_clusterings(encoder(), embedded(blobs()[0]), [k])
