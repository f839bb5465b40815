# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""With what a report was made."""

from __future__ import annotations

from collections.abc import Sequence

from .time_left import spoken

_UNEQUAL = (
    'Not all on one kind of machine: they round differently, so that equal '
    'seeds are then two runs, not one.'
)


def made_lines(results: Sequence[dict]) -> list[str]:
    """When and on what cells were run, and how long that took.

    Args:
        results (sequence of dict): Of :func:`~.worker.run_cell`; not empty.

    Returns:
        list[str]: Items of a Markdown list.
    """
    versions = sorted(
        {
            ', '.join(f'{k} {v}' for k, v in result['versions'].items())
            for result in results
        }
    )
    hardware = sorted(
        {f'{r["hardware"]} ({r["threads"]} a cell)' for r in results}
    )
    dates = sorted(result['date'][:10] for result in results)
    period = (
        dates[0] if dates[0] == dates[-1] else f'{dates[0]} to {dates[-1]}'
    )
    total = spoken(sum(result['seconds'] for result in results))
    longest = spoken(max(result['seconds'] for result in results))
    return [
        f'- {period}; {len(results)} cells, {total} in all if one after '
        f'another, {longest} the longest',
        *(f'- {text}' for text in hardware),
        *(['- ' + _UNEQUAL] if len(hardware) > 1 else []),
        *(f'- {text}' for text in versions),
    ]
