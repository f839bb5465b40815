# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pauc_mm.utils.tables import (
    Summary,
    mean_and_deviation,
    paired_difference,
    summary_text,
)


@dataclass(frozen=True)
class Column:
    """One column of a table over seeds.

    Attributes:
        title (str): Its heading.
        value (callable): From a result to the number, or None.
        digits (int): Decimals. Defaults to 1.
    """

    title: str
    value: Callable[[dict], float | None]
    digits: int = 1

    def by_seed(self, results: Mapping[int, dict]) -> dict[int, float]:
        """The numbers that there are."""
        found = {seed: self.value(r) for seed, r in results.items()}
        return {s: value for s, value in found.items() if value is not None}

    def summary(self, results: Mapping[int, dict]) -> Summary | None:
        """Mean and deviation; None without numbers."""
        return mean_and_deviation(list(self.by_seed(results).values()))

    def text(self, results: Mapping[int, dict]) -> str:
        """Such as '97.3 ± 0.4', or '-'."""
        return summary_text(self.summary(results), self.digits)

    def difference(
        self, results: Mapping[int, dict], baseline: Mapping[int, dict]
    ) -> str:
        """Mean difference of equal seeds and its standard error, or '-'."""
        found = paired_difference(
            self.by_seed(results), self.by_seed(baseline)
        )
        return summary_text(found, self.digits, signed=True)


def figure_column(
    title: str, name: str, factor: float = 1.0, digits: int = 1
) -> Column:
    """A column of one of the figures of a result.

    Args:
        title (str): Its heading.
        name (str): Of the figure.
        factor (float): What it is multiplied by. Defaults to 1.
        digits (int): Decimals. Defaults to 1.

    Returns:
        Column: Without a number where a result has no such figure.
    """

    def value(result: dict) -> float | None:
        figure = result['figures'].get(name)
        return None if figure is None else factor * figure

    return Column(title, value, digits)
