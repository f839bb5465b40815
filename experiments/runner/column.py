# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pauc_mm.utils.tables import (
    Summary,
    mean_and_deviation,
    summary_text,
)

from .result import RunResult

BySeed = Mapping[int, RunResult]


def paired_difference(
    values: Mapping[int, float], baseline: Mapping[int, float]
) -> Summary | None:
    """Return the mean difference of equal seeds and its standard error.

    Args:
        values (Mapping[int, float]): Value by seed.
        baseline (Mapping[int, float]): Value to subtract, by seed. Seeds
            that only one of the two has are left out.

    Returns:
        Summary or None: None if no seed is in both.
    """
    pairs = [
        value - baseline[seed]
        for seed, value in values.items()
        if seed in baseline
    ]
    summary = mean_and_deviation(pairs)
    if summary is None or summary.spread is None:
        return summary
    error = summary.spread / math.sqrt(summary.number)
    return Summary(summary.mean, error, summary.number)


@dataclass(frozen=True)
class Column:
    """One column of a table over seeds.

    Attributes:
        title (str): Heading.
        value (callable): From a result to the value, or None.
        digits (int): Decimals. Defaults to 1.
    """

    title: str
    value: Callable[[RunResult], float | None]
    digits: int = 1

    def by_seed(self, results: BySeed) -> dict[int, float]:
        """Return values by seed; seeds without one are skipped."""
        values = {seed: self.value(r) for seed, r in results.items()}
        return {s: value for s, value in values.items() if value is not None}

    def summary(self, results: BySeed) -> Summary | None:
        """Return mean and deviation; None without values."""
        return mean_and_deviation(list(self.by_seed(results).values()))

    def text(self, results: BySeed) -> str:
        """Format mean and deviation, such as '97.3 ± 0.4', or '-'."""
        return summary_text(self.summary(results), self.digits)

    def difference(self, results: BySeed, baseline: BySeed) -> Summary | None:
        """Return the mean difference of equal seeds and its standard error."""
        return paired_difference(self.by_seed(results), self.by_seed(baseline))

    def difference_text(self, results: BySeed, baseline: BySeed) -> str:
        """Format :meth:`difference`, such as '+0.3 ± 0.1', or '-'."""
        summary = self.difference(results, baseline)
        return summary_text(summary, self.digits, signed=True)


def metric_column(
    title: str, name: str, factor: float = 1.0, digits: int = 1
) -> Column:
    """Build a column of one metric.

    Args:
        title (str): Heading.
        name (str): Name of the metric.
        factor (float): Multiplies the value. Defaults to 1.
        digits (int): Decimals. Defaults to 1.

    Returns:
        Column: Without a value where a result has no such metric.
    """

    def value(result: RunResult) -> float | None:
        metric = result.metrics.get(name)
        return None if metric is None else factor * metric

    return Column(title, value, digits)
