# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
from mmengine.dataset import BaseDataset
from mmpretrain.registry import DATASETS

from pauc_mm.datasets import subset

PIPELINE = [dict(type='PackInputs')]


@pytest.fixture
def digits():
    return DATASETS.build(
        dict(type='SklearnDigits', split='test', pipeline=PIPELINE)
    )


def test_rows_in_their_order_and_the_whole_untouched(digits):
    number = len(digits)
    chosen = subset(digits, [7, 3, 300])
    assert len(chosen) == 3 and type(chosen) is type(digits)
    for new, old in enumerate([7, 3, 300]):
        one, other = chosen[new], digits[old]
        assert one['inputs'].equal(other['inputs'])
        assert one['data_samples'].gt_label == other['data_samples'].gt_label
    assert len(digits) == number
    assert len(subset(chosen, [2])) == 1 and len(chosen) == 3


def test_an_address_that_comes_again(digits, monkeypatch):
    """mmengine's own get_subset keeps state of data sets that are gone.

    Its memo of copies is by address, and lives as long as the process.
    """
    step = digits.pipeline.transforms[0]
    memo = {id(step): digits}
    monkeypatch.setattr(
        BaseDataset._copy_without_annotation, '__defaults__', (memo,)
    )
    with pytest.raises(TypeError, match='not callable'):
        digits.get_subset([0, 1])[0]
    assert subset(digits, [0, 1])[0]['inputs'].equal(digits[0]['inputs'])
