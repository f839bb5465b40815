# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Means with their spread, and Markdown tables of them."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

MISSING = '-'


@dataclass(frozen=True)
class Summary:
    """A mean and its spread.

    The spread is the standard deviation of a sample (n - 1), or the standard
    error of the mean; None for a single value.
    """

    mean: float
    spread: float | None = None
    number: int = 1  # of values

    def text(self, digits: int = 1, signed: bool = False) -> str:
        """Format as '97.3 ± 0.4', or as the mean alone without a spread."""
        text = f'{self.mean:{"+" if signed else ""}.{digits}f}'
        if self.spread is not None:
            text += f' ± {self.spread:.{digits}f}'
        return text


def mean_and_deviation(values: Sequence[float]) -> Summary | None:
    """Return mean and standard deviation of a sample; None without values."""
    if not values:
        return None
    spread = statistics.stdev(values) if len(values) > 1 else None
    return Summary(statistics.fmean(values), spread, len(values))


def summary_text(
    summary: Summary | None, digits: int = 1, signed: bool = False
) -> str:
    """Format a summary, or :data:`MISSING` for None."""
    return MISSING if summary is None else summary.text(digits, signed)


def markdown_table(
    header: Sequence[str], rows: Sequence[Sequence[object]]
) -> str:
    """Lay out a Markdown table that lines up as plain text too.

    There is no newline at the end.
    """
    lines = [[str(cell) for cell in line] for line in (header, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines)]
    lines.insert(1, ['-' * width for width in widths])
    return '\n'.join(
        f'| {" | ".join(c.ljust(w) for c, w in zip(line, widths))} |'
        for line in lines
    )
