# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from pauc_mm.evaluation.functional.checks import (
    NoDirectionError,
    as_groups,
    as_matrix,
    as_unit_vectors,
    subsample,
)


@pytest.mark.parametrize(
    'given, dtype',
    [
        (torch.tensor([[100001, -1]]), torch.float32),
        (torch.tensor([[True, False]]), torch.float32),
        (torch.tensor([[1e30, 0.1]], dtype=torch.bfloat16), torch.float32),
        (torch.tensor([[1e-7, 2.0]], dtype=torch.float16), torch.float32),
        (torch.tensor([[1e-30, 0.1]]), torch.float32),
        (torch.tensor([[1e-300, 0.1]]).double() / 3, torch.float64),
        (np.array([[1, 100001]]), torch.float32),
        (np.array([[0.1, 1 / 3]]), torch.float64),
    ],
)
def test_no_digit_is_lost_that_float32_has(given, dtype):
    got = as_matrix(given, 'x')
    assert got.dtype == dtype
    assert torch.equal(got, torch.as_tensor(given).to(dtype))


def test_what_is_no_matrix_or_not_finite():
    for given in (torch.zeros(3, 0), torch.zeros(0, 3), torch.zeros(3)):
        with pytest.raises(ValueError, match='x must be a non-empty matrix'):
            as_matrix(given, 'x')
    rows = torch.ones(14, 2)
    rows[1:13, 0] = torch.inf
    first = r'12 of 14 x .*rows: \[1, 2, 3, 4, 5, 6, 7, 8, 9, 10\]'
    with pytest.raises(ValueError, match=first):
        as_matrix(rows, 'x')
    rows[1:13] = 0
    with pytest.raises(NoDirectionError, match=first):
        as_unit_vectors(rows, 'x')


def test_nothing_is_left_of_a_graph():
    given = torch.full((2, 2), 3.0, requires_grad=True)
    assert not as_matrix(given).requires_grad
    assert not as_unit_vectors(given).requires_grad


def test_as_short_as_float32_can_say():
    short = torch.tensor([[3e-37, 4e-37]]).double()
    assert torch.allclose(
        as_unit_vectors(short), torch.tensor([[0.6, 0.8]]).double()
    )
    with pytest.raises(NoDirectionError):
        as_unit_vectors(short * 1e-3)


@pytest.mark.parametrize('dtype', [torch.float16, torch.complex64])
def test_groups_that_are_no_integers(dtype):
    with pytest.raises(TypeError, match=f'g must be integers, got {dtype}'):
        as_groups(torch.zeros(3, dtype=dtype), 3, 'g')


@pytest.mark.parametrize('dtype', [torch.uint8, torch.int32, torch.bool])
def test_groups_are_long(dtype):
    got = as_groups(torch.tensor([0, 1, 1]).to(dtype), 3)
    assert got.dtype == torch.int64 and got.tolist() == [0, 1, 1]
    with pytest.raises(ValueError, match=r'g must have shape \(3,\)'):
        as_groups(torch.zeros(3, 1).to(dtype), 3, 'g')


def test_a_draw_is_of_different_rows_in_order():
    rows = torch.arange(50)
    got = subsample(rows, 20, 3)
    expected = np.random.default_rng(3).choice(50, 20, replace=False)
    assert got.tolist() == sorted(expected)
    assert subsample(rows, 50, 3) is rows is subsample(rows, None, 3)
    assert len(subsample(rows, 0, 3)) == 0
