# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import torch


def check_positive(
    key: str, value: float, zero: bool = False, fix: str = ''
) -> float:
    """Return a positive, finite number, or say which key is wrong.

    Args:
        key (str): Config key for the message.
        value (float): The value to check.
        zero (bool): Whether zero is allowed too.
        fix (str): What to set instead, for the message.

    Raises:
        ValueError: Naming the key and the value.
    """
    is_number = isinstance(value, (int, float)) and math.isfinite(value)
    if not is_number or value < 0 or (value == 0 and not zero):
        wanted = 'a number >= 0' if zero else 'a positive number'
        raise ValueError(f'{key} must be {wanted}, but is {value!r}. {fix}')
    return value


def check_pairs(prototypes: torch.Tensor) -> None:
    """Refuse a set of prototypes that has no pair.

    Raises:
        ValueError: Naming the shape.
    """
    if prototypes.dim() < 2 or prototypes.shape[-2] < 2:
        raise ValueError(
            'This loss is a mean over pairs of distinct prototypes and needs '
            f'a (..., P, D) tensor with P >= 2, not {tuple(prototypes.shape)}.'
        )
