# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch
import torch.nn.functional as F

from pauc_mm.clustering import batch_prototypes


def test_normalised_means_in_the_order_of_the_ids():
    torch.manual_seed(0)
    embeddings = F.normalize(torch.randn(6, 4, dtype=torch.float64), dim=1)
    assignments = torch.tensor([5, 2, 5, 9, 2, 5])
    prototypes, ids = batch_prototypes(embeddings, assignments)
    assert ids.tolist() == [2, 5, 9]
    for row, members in zip(prototypes, ([1, 4], [0, 2, 5], [3])):
        mean = sum(embeddings[i] for i in members) / len(members)
        torch.testing.assert_close(row, mean / mean.norm())


def test_gradient_flows_and_is_right():
    torch.manual_seed(1)
    embeddings = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assignments = torch.tensor([0, 1, 0, 1, 1])
    centroids = F.normalize(torch.randn(2, 3, dtype=torch.float64), dim=1)
    for weight in (0.0, 0.4):
        assert torch.autograd.gradcheck(
            lambda x, w=weight: batch_prototypes(x, assignments, centroids, w)[
                0
            ],
            embeddings,
        )


def test_mixing_in_the_stored_centroid():
    embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    centroids = torch.tensor([[9.0, 9.0], [0.0, 1.0]])
    prototypes, _ = batch_prototypes(
        embeddings, torch.tensor([1, 1]), centroids, 0.5
    )
    torch.testing.assert_close(prototypes, torch.tensor([[0.5**0.5] * 2]))
