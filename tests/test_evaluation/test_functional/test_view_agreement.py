# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch

from pauc_mm.evaluation.functional import view_agreement

GENERATOR = torch.Generator().manual_seed(0)
X = torch.randn(5000, 3, generator=GENERATOR)
Y = X + 0.5 * torch.randn(5000, 3, generator=GENERATOR)


def test_equals_a_loop():
    prototypes = torch.randn(7, 3, generator=GENERATOR)

    def nearest(vector):
        cosines = torch.cosine_similarity(vector[None], prototypes)
        return int(cosines.argmax())

    rows = [0, 1, 2, *range(4090, 4110)]
    same = sum(nearest(X[i]) == nearest(Y[i]) for i in rows)
    found = view_agreement(3 * X[rows], Y[rows].numpy(), prototypes)
    assert 0 < same < len(rows) and found == same / len(rows)


def test_opposite_prototypes_have_a_closed_form():
    prototypes = torch.tensor([[1.0, 0, 0], [-2.0, 0, 0]])
    same = (X[:, 0] > 0) == (Y[:, 0] > 0)
    found = view_agreement(X, Y, prototypes)
    assert found == pytest.approx(same.double().mean().item(), abs=1e-12)
    assert view_agreement(X, -X, prototypes) == 0
    assert view_agreement(X, Y, prototypes[:1]) == 1  # the collapse


@pytest.mark.parametrize(
    'x, y, prototypes, found',
    [
        (X, Y[:9], X[:2], r'\(9, 3\)'),
        (X, Y, X[:2, :2], r'\(2, 2\)'),
        (X, Y, X[:2] * 0, '2 of 2 prototypes.*zero'),
        (X, Y * math.nan, X[:2], 'views y.*finite'),
    ],
)
def test_bad_arguments(x, y, prototypes, found):
    with pytest.raises(ValueError, match=found):
        view_agreement(x, y, prototypes)
