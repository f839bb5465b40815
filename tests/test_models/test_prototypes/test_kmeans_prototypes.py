# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch

from pauc_mm.models.prototypes import KMeansPrototypes
from tests.helpers import model_cfg

CPU = torch.device('cpu')


def filled():
    prototypes = KMeansPrototypes([2, 2], 2)
    prototypes.update(
        [torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.eye(2)],
        [torch.tensor([0.1, 0.2]), torch.tensor([0.3, 0.4])],
        torch.tensor([[0, 1, 1], [1, 0, 1]], dtype=torch.int32),
        CPU,
    )
    return prototypes


def test_centroids_are_normalised_and_assignments_looked_up():
    assert not KMeansPrototypes([2, 2], 2).ready
    prototypes = filled()
    assert prototypes.ready and prototypes.sizes == (2, 2)
    torch.testing.assert_close(
        prototypes.centroids[0], torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    )
    found = prototypes.lookup(torch.tensor([2, 0]))
    assert found.tolist() == [[1, 0], [1, 1]]
    assert found.dtype == torch.int64


def test_state_survives_bit_for_bit():
    # normalising once more on loading would change the last bit
    prototypes = filled()
    other = KMeansPrototypes([2, 2], 2)
    other.load_clustering(prototypes.clustering(), CPU)
    for a, b in zip(prototypes.centroids, other.centroids):
        assert torch.equal(a, b)
    assert torch.equal(prototypes.assignments, other.assignments)


def test_no_integer_of_it_is_a_buffer_that_a_hook_would_average():
    from mmpretrain.registry import MODELS

    model = MODELS.build(model_cfg('PCL'))
    before = set(dict(model.named_buffers()))
    model.prototypes = filled()
    assert set(dict(model.named_buffers())) == before
