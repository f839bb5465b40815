# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from pauc_mm.evaluation.functional.checks import as_matrix


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
