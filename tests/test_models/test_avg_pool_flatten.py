# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from pauc_mm.models import AvgPoolFlatten


@pytest.mark.parametrize(
    'kernel, stride, side', [(6, 1, 2), (3, 2, 3), (7, 1, 1)]
)
def test_against_loops(kernel, stride, side):
    maps = torch.randn(2, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    first, out = AvgPoolFlatten(kernel, stride)((maps[:, :1], maps))
    assert torch.equal(first, out[:, : side * side])
    assert out.shape == (2, 3 * side * side)
    for n in range(2):
        row = []
        for c in range(3):
            for i in range(side):
                for j in range(side):
                    y, x = i * stride, j * stride
                    window = maps[n, c, y : y + kernel, x : x + kernel]
                    row.append(window.sum() / kernel**2)
        torch.testing.assert_close(out[n], torch.stack(row))


def test_conv5_of_resnet_50():
    """Goyal et al. (ICCV 2019): 8,192 numbers; PCL says about 9,000."""
    (out,) = AvgPoolFlatten()((torch.zeros(1, 2048, 7, 7),))
    assert out.shape == (1, 8192)


def test_wrong_input():
    for name, value in (('kernel_size', 0), ('stride', 1.5), ('stride', 0)):
        with pytest.raises(ValueError, match=f'neck.{name} .*>= 1, got'):
            AvgPoolFlatten(**{name: value})
    for h, w in ((7, 5), (5, 7)):
        with pytest.raises(ValueError, match=f'size=6 is larger .* {h}x{w}'):
            AvgPoolFlatten()((torch.zeros(1, 1, h, w),))
