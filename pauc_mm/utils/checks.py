# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math
from collections.abc import Iterable, Sequence
from typing import Any


def check_integer(key: str, value: int, least: int, fix: str = '') -> int:
    """Return an integer that is not below ``least``; ``True`` is not one.

    ``key`` is its config key and ``fix`` what to set, for the message.

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


def check_same_classes(
    first: str, ours: Any, second: str, theirs: Any
) -> None:
    """Refuse two label sets whose classes differ in names or order.

    Labels are the indices of sorted names: where one class is absent, all
    that follow mean another in the other set. ``first`` and ``second`` say who
    has the names; a set without names is not compared.

    Raises:
        ValueError: Naming the classes that only one of them has.
    """
    if not ours or not theirs or list(ours) == list(theirs):
        return
    alone = {
        first: [name for name in ours if name not in theirs],
        second: [name for name in theirs if name not in ours],
    }
    facts = [
        f'only {who} has {len(names)}: {", ".join(names[:10])}'
        for who, names in alone.items()
        if names
    ] or ['the order is another']
    raise ValueError(
        f'{first} has {len(ours)} classes and {second} {len(theirs)}, which '
        f'differ: {"; ".join(facts)}. Both need the same classes, under the '
        'same names.'
    )


def class_names(dataset: Any) -> Sequence[str] | None:
    """Return the names of the classes of a data set, if it has any."""
    return getattr(dataset, 'metainfo', {}).get('classes')


def listed(names: Iterable[str], count: int = 4) -> str:
    """Join the first few names, with dots if there are more."""
    names = list(names)
    return ', '.join(names[:count]) + (', ...' if len(names) > count else '')
