# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from sklearn.metrics import normalized_mutual_info_score

from pauc_mm.clustering import normalized_mutual_information


@pytest.mark.parametrize('noise', [0.0, 0.3, 1.0])
@pytest.mark.parametrize('sizes', [(7, 7), (3, 40), (1, 5)])
def test_equals_scikit_learn(sizes, noise):
    generator = torch.Generator().manual_seed(0)
    first = torch.randint(sizes[0], (500,), generator=generator)
    second = (first * 5 + 3) % sizes[1]
    other = torch.randint(sizes[1], (500,), generator=generator)
    chosen = torch.rand(500, generator=generator) < noise
    second = torch.where(chosen, other, second)
    assert normalized_mutual_information(first, second) == pytest.approx(
        normalized_mutual_info_score(first, second), abs=1e-9
    )


def test_closed_forms():
    ids = torch.tensor([0, 0, 1, 1])
    assert normalized_mutual_information(ids, 1 - ids) == pytest.approx(1)
    across = torch.tensor([0, 1, 0, 1])
    assert normalized_mutual_information(ids, across) == 0
    one = torch.zeros(4, dtype=torch.int64)
    assert normalized_mutual_information(one, one) == 1
