# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import itertools

import torch
import torch.nn.functional as F

from pauc_mm.clustering import batch_prototypes


def test_normalised_means_each_cluster_once():
    torch.manual_seed(0)
    views = [
        F.normalize(torch.randn(6, 4, dtype=torch.float64), dim=1)
        for _ in range(2)
    ]
    assignments = torch.tensor([[5, 2, 5, 9, 2, 5], [0, 0, 0, 0, 0, 0]])
    prototypes, mask = batch_prototypes(assignments, *views)
    # the first member of each cluster stands for it
    assert mask.tolist() == [[1, 1, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0]]
    for view, rows in zip(views, prototypes):
        for ids, of_clustering in zip(assignments.tolist(), rows):
            for i, row in enumerate(of_clustering):
                members = [view[j] for j in range(6) if ids[j] == ids[i]]
                mean = sum(members) / len(members)
                torch.testing.assert_close(row, mean / mean.norm())


def test_gradient_flows_and_is_right():
    torch.manual_seed(1)
    embeddings = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assignments = torch.tensor([0, 1, 0, 1, 1])
    centroids = F.normalize(torch.randn(2, 3, dtype=torch.float64), dim=1)
    for weight in (0.0, 0.4):
        assert torch.autograd.gradcheck(
            lambda x, w=weight: batch_prototypes(
                assignments,
                x,
                stored=centroids[assignments],
                centroid_weight=w,
            )[0][0],
            embeddings,
        )


def test_mixing_in_the_stored_centroid():
    embeddings = F.normalize(torch.randn(3, 4), dim=1)
    stored = F.normalize(torch.randn(2, 4, dtype=torch.float64), dim=1)
    ids = torch.tensor([[1, 0, 1], [0, 0, 0]])  # two clusterings
    (plain,), _ = batch_prototypes(ids, embeddings, stored=stored[ids])
    (mixed,), _ = batch_prototypes(
        ids, embeddings, stored=stored[ids], centroid_weight=0.3
    )
    for m, i in itertools.product(range(2), range(3)):
        own = ids[m, i]
        mean = F.normalize(embeddings[ids[m] == own].sum(dim=0), dim=0)
        torch.testing.assert_close(plain[m, i], mean)
        want = 0.7 * mean + 0.3 * stored[own].float()
        torch.testing.assert_close(mixed[m, i], want / want.norm())
