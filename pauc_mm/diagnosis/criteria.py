# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Healthy range of each measure, and the source of the range."""

import json
import math
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Criterion:
    """One measure: how to read it and when to worry.

    Attributes:
        key (str): Key in :func:`~.measures.headline`.
        name (str): Name in tables.
        better (str): 'lower', 'higher' or '' if neither is better.
        means (str): Definition of the measure.
        healthy (str): Healthy range in words.
        source (str): Source of the range.
        watch (float, optional): Limit beyond which a value deserves a look.
        bad (float, optional): Limit beyond which a value is a collapse.
        if_watch (str): Sentence for a value beyond ``watch``.
        if_bad (str): Sentence for a value beyond ``bad``.
        collapse (str): Kind of collapse, for the title of a verdict; one of
            :data:`~.verdict.COLLAPSES`, or ''.
    """

    key: str
    name: str
    better: str
    means: str
    healthy: str
    source: str
    watch: float | None = None
    bad: float | None = None
    if_watch: str = ''
    if_bad: str = ''
    collapse: str = ''

    @property
    def healthy_range(self) -> tuple | None:
        """Lowest and highest healthy value, None where open; or None."""
        lower = self.better == 'lower'
        limits = (None, self.watch) if lower else (self.watch, None)
        return None if self.watch is None else limits

    def level(self, value: float) -> str | None:
        """Return 'good', 'watch' or 'bad', or None without a limit.

        Raises:
            ValueError: If the value is not finite.
        """
        if not math.isfinite(value):
            raise ValueError(f'{self.name} must be finite, got {value}.')
        if self.watch is None:
            return None
        sign = 1 if self.better == 'lower' else -1
        if self.bad is not None and sign * (value - self.bad) >= 0:
            return 'bad'
        return 'watch' if sign * (value - self.watch) >= 0 else 'good'


CRITERIA = tuple(
    Criterion(**fields)
    for fields in json.loads(
        Path(__file__).with_suffix('.json').read_text(encoding='utf-8')
    )
)
