# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from pauc_mm.evaluation.functional import cluster_entropy


@pytest.mark.parametrize('number', [2, 7, 1000])
def test_equal_sizes_are_one(number):
    assert cluster_entropy([5] * number) == pytest.approx(1, abs=1e-12)


def test_one_cluster_that_holds_everything_is_zero():
    assert cluster_entropy([0, 9, 0]) == 0


def test_empty_clusters_lower_it():
    expected = math.log(2) / math.log(4)
    assert cluster_entropy([3, 3, 0, 0]) == pytest.approx(expected, abs=1e-12)


def test_equals_scipy():
    sizes = np.random.default_rng(0).integers(0, 50, 30)
    expected = entropy(sizes, base=30)
    assert cluster_entropy(sizes) == pytest.approx(expected, abs=1e-12)
    assert cluster_entropy(torch.from_numpy(sizes)) == cluster_entropy(sizes)


def test_single_cluster_is_even():
    assert cluster_entropy([4]) == 1


@pytest.mark.parametrize('sizes', [[], [0, 0], [3, -1], [math.nan, 1]])
def test_bad_sizes(sizes):
    with pytest.raises(ValueError, match='sizes must'):
        cluster_entropy(sizes)
