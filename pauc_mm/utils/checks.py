# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math
from collections.abc import Sequence
from typing import Any


def check_integer(key: str, value: int, least: int, fix: str = '') -> int:
    """Return an integer that is not below a bound; ``True`` is not one.

    Args:
        key (str): Config key, for the message.
        value (int): Value to check.
        least (int): Smallest that is allowed.
        fix (str): What to set instead, for the message.

    Raises:
        ValueError: Naming the key and the value.
    """
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if not is_integer or value < least:
        message = f'{key} must be an integer >= {least}, got {value!r}. {fix}'
        raise ValueError(message.strip())
    return value


def check_choice(key: str, value: Any, choices: Sequence) -> Any:
    """Return a value that is one of a few; see :func:`check_integer`."""
    if value not in choices:
        known = ', '.join(map(repr, choices))
        raise ValueError(f'{key} must be one of {known}, got {value!r}.')
    return value


def check_positive(
    key: str, value: float, zero: bool = False, fix: str = ''
) -> float:
    """Return a finite number above zero, or zero too if ``zero``.

    See :func:`check_integer`.
    """
    is_number = isinstance(value, (int, float)) and math.isfinite(value)
    if not is_number or value < 0 or (value == 0 and not zero):
        wanted = 'a number >= 0' if zero else 'a positive number'
        message = f'{key} must be {wanted}, got {value!r}. {fix}'
        raise ValueError(message.strip())
    return value
