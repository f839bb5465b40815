# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pauc_mm.evaluation.collapse import MEASURES

_CONDITION = re.compile(r'\s*([<>])\s*(\S+)\s*')


class Condition(NamedTuple):
    """A measure beyond a threshold.

    Attributes:
        measure (str): Name of the measure, without the number of a set.
        sign (str): '<' or '>'.
        threshold (float): The threshold.
    """

    measure: str
    sign: str
    threshold: float

    def met_by(self, values: Mapping[str, float]) -> str | None:
        """The first value that meets it, in words, or None."""
        compare = operator.lt if self.sign == '<' else operator.gt
        for name, value in values.items():
            own = re.fullmatch(rf'{self.measure}(_\d+)?', name)
            if own and compare(value, self.threshold):
                return f'{name} = {value:.4g} {self.sign} {self.threshold:g}'
        return None


def parse_conditions(key: str, stop: Mapping[str, str]) -> list[Condition]:
    """Read conditions such as ``dict(effective_rank='< 2')``.

    Args:
        key (str): Config key, for messages.
        stop (Mapping[str, str]): Sign and threshold by measure. A measure of
            prototypes meets its condition if it does for any of the sets.

    Returns:
        list[Condition]: The conditions.

    Raises:
        ValueError: If a measure is unknown or a condition cannot be read.
    """
    if not isinstance(stop, Mapping):
        raise ValueError(
            f"{key} must be a dict such as dict(effective_rank='< 2'), not "
            f'{stop!r}.'
        )
    conditions = []
    for measure, text in stop.items():
        if measure not in MEASURES:
            raise ValueError(
                f'{key} names the measure {measure!r}, but there are only '
                f'{", ".join(MEASURES)}.'
            )
        conditions.append(Condition(measure, *_read(key, measure, text)))
    return conditions


def _read(key: str, measure: str, text: str) -> tuple[str, float]:
    found = _CONDITION.fullmatch(text) if isinstance(text, str) else None
    threshold = math.nan
    if found:
        try:
            threshold = float(found[2])
        except ValueError:
            pass  # said below, as for any other text
    if not math.isfinite(threshold):
        raise ValueError(
            f"{key}.{measure} must be '<' or '>' and a number, such as "
            f"'< 2', not {text!r}."
        )
    return found[1], threshold


def conditions_met(
    conditions: Sequence[Condition], values: Mapping[str, float]
) -> list[str]:
    """In words, which conditions the values meet."""
    met = (condition.met_by(values) for condition in conditions)
    return [words for words in met if words]
