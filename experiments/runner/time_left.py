# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""How long a matrix will still take."""

from __future__ import annotations

import statistics
from collections.abc import Hashable, Mapping, Sequence


def time_left(
    waiting: Sequence[Hashable],
    running: Sequence[tuple[Hashable, float, float]],
    known: Mapping[Hashable, Sequence[float]],
    jobs: int,
) -> float | None:
    """Estimate the seconds until all cells are done.

    A cell takes as long as those of its kind that are done; else as one of
    its kind that runs, by what it has done so far; else as the mean of all
    that something is known of.

    Args:
        waiting (sequence): Kind of each cell that has not begun.
        running (sequence): Kind, share that is done in [0, 1] and seconds so
            far of each that runs.
        known (Mapping): By kind the seconds of the cells that are done.
        jobs (int): Cells at the same time.

    Returns:
        float or None: None as long as nothing is known.
    """
    expected = {
        kind: statistics.fmean(seconds)
        for kind, seconds in known.items()
        if seconds
    }
    for kind, share, seconds in running:
        if kind not in expected and share > 0:
            expected[kind] = seconds / share
    if not expected:
        return None
    usual = statistics.fmean(expected.values())
    rest = [
        (1 - share) * expected.get(kind, usual) for kind, share, _ in running
    ]
    work = sum(rest) + sum(expected.get(kind, usual) for kind in waiting)
    # The last cells do not share the cores that others leave.
    return max([work / jobs, *rest])


def spoken(seconds: float | None) -> str:
    """A length of time for people, such as '1 h 05 min'."""
    if seconds is None:
        return 'unknown'
    if seconds < 90:
        return f'{seconds:.0f} s'
    minutes = round(seconds / 60)
    if minutes < 60:
        return f'{minutes} min'
    return f'{minutes // 60} h {minutes % 60:02d} min'
