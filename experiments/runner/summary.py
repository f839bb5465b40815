# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Means over seeds, and differences paired by seed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MISSING = '-'


@dataclass(frozen=True)
class Summary:
    """A mean and how sure it is.

    Attributes:
        mean (float): Of the values.
        spread (float, optional): Standard deviation of a sample (n - 1), or
            standard error of the mean; None for one value.
        number (int): Values.
    """

    mean: float
    spread: float | None
    number: int

    def text(self, digits: int = 1, signed: bool = False) -> str:
        """Such as '97.3 ± 0.4'."""
        text = f'{self.mean:{"+" if signed else ""}.{digits}f}'
        if self.spread is not None:
            text += f' ± {self.spread:.{digits}f}'
        return text


def mean_and_deviation(values: Sequence[float]) -> Summary | None:
    """Mean and standard deviation of a sample; None without values."""
    if not values:
        return None
    spread = statistics.stdev(values) if len(values) > 1 else None
    return Summary(statistics.fmean(values), spread, len(values))


def paired_difference(
    values: Mapping[int, float], baseline: Mapping[int, float]
) -> Summary | None:
    """Mean of the differences of equal seeds, and its standard error.

    Args:
        values (Mapping[int, float]): By seed.
        baseline (Mapping[int, float]): What is subtracted; seeds that only
            one of the two has are left out.

    Returns:
        Summary or None: Its spread is the deviation of the differences over
        the root of their number; None if no seed is in both.
    """
    pairs = [
        value - baseline[seed]
        for seed, value in values.items()
        if seed in baseline
    ]
    found = mean_and_deviation(pairs)
    if found is None or found.spread is None:
        return found
    error = found.spread / math.sqrt(found.number)
    return Summary(found.mean, error, found.number)
