# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest

from pauc_mm.utils.checks import check_choice, check_integer, check_positive


def test_good_values_are_returned():
    assert check_integer('a', 3, 3) == 3
    assert check_choice('a', None, (None, 'x')) is None
    assert check_positive('a', 0, zero=True) == 0


@pytest.mark.parametrize('value', [2, 3.0, True, '3', None])
def test_integers(value):
    with pytest.raises(ValueError, match=f'model.k .* >= 3, got {value!r}'):
        check_integer('model.k', value, 3, fix='Raise it.')


def test_choices():
    with pytest.raises(ValueError, match="model.kind .* 'a', 'b', got 'c'"):
        check_choice('model.kind', 'c', ('a', 'b'))


@pytest.mark.parametrize('value', [0, -1.0, float('inf'), float('nan'), '1'])
def test_positive_numbers(value):
    with pytest.raises(ValueError, match=f'model.t .* got {value!r}. Use 1.'):
        check_positive('model.t', value, fix='Use 1.')
