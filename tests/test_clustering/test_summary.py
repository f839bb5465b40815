# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Expected members of a batch against drawn batches."""

import re

import numpy as np
import pytest
import torch

from pauc_mm.clustering import KMeansResult
from pauc_mm.clustering.summary import (
    clustering_summary,
    others_of_the_cluster,
    prototypes_of_a_step,
)


def test_others_of_the_cluster_by_hand():
    # Two of two: the one mate of an image is in its cluster once in three.
    assert others_of_the_cluster(torch.tensor([2, 2]), 2) == pytest.approx(
        1 / 3
    )
    assert others_of_the_cluster(torch.tensor([10]), 4) == 3
    assert others_of_the_cluster(torch.tensor([1, 1, 1]), 3) == 0
    assert others_of_the_cluster(torch.tensor([1]), 1) == 0


def test_they_are_the_means_of_drawn_batches():
    sizes, batch = torch.tensor([30, 12, 5, 2, 1]), 8
    clusters = torch.repeat_interleave(torch.arange(5), sizes)
    torch.manual_seed(0)
    mates, distinct = [], []
    for _ in range(4000):
        drawn = clusters[torch.randperm(50)[:batch]]
        same = drawn[:, None] == drawn
        mates.append((same.sum() - batch) / batch)
        distinct.append(len(drawn.unique()))
    mean = torch.stack(mates).mean().item()
    assert others_of_the_cluster(sizes, batch) == pytest.approx(mean, rel=0.03)
    distinct = sum(distinct) / len(distinct)
    # As if drawn with replacement, hence only about that
    told = prototypes_of_a_step(sizes, 100, batch, 20)
    assert told == pytest.approx(20 + distinct, abs=0.2)


def test_no_more_prototypes_than_there_are():
    sizes = torch.tensor([5, 5])
    assert prototypes_of_a_step(sizes, 4, 8, 16000) == 4
    assert prototypes_of_a_step(torch.tensor([5]), 2, 1, 0) == 1


@pytest.mark.parametrize(
    'previous, nmi',
    # The same under other names; another cut, whose NMI is 2 I / (H + H').
    [
        ([2, 2, 2, 2, 2, 2, 0, 0, 1], 1.0),
        ([0, 0, 0, 0, 0, 0, 1, 1, 1], 0.857),
    ],
)
def test_every_figure_of_the_line(previous, nmi):
    assignments = np.array([0, 0, 0, 0, 0, 0, 1, 1, 2])
    result = KMeansResult(assignments, np.eye(3), np.ones(3), 0.0267, 5)
    line = clustering_summary(
        m=7,
        k=4,
        result=result,
        phi=torch.tensor([0.2, 0.6, 0.1]),
        previous=torch.tensor(previous),
        batch=4,
        num_negatives=1,
    )
    figures = [float(x) for x in re.findall(r'\d+(?:\.\d+)?', line)]
    rivals = prototypes_of_a_step(torch.tensor([6, 2, 1]), 4, 4, 1)
    others = 3 * (6 * 5 + 2 * 1) / (9 * 8)
    # K, used, sizes, objective, concentration, batch, others, set, chance,
    # trained on, of, NMI
    want = [4, 3, 1, 2, 6, result.objective, 0.3, 0.1, 0.6, 4, others, 7]
    want += [1 / rivals, 5, 9, nmi]
    assert figures == pytest.approx(want, rel=0.06, abs=6e-4)
