# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence

from pauc_mm.utils.tables import (
    markdown_table,
    mean_and_deviation,
    summary_text,
)

from .scene_runs import METRICS

TITLES = dict(
    bbox_mAP='box AP',
    bbox_mAP_50='box AP50',
    segm_mAP='mask AP',
    segm_mAP_50='mask AP50',
)


def scene_table(records: Sequence[dict]) -> str:
    """Means and deviations over seeds, and the differences to random weights.

    Args:
        records (sequence of dict): Of :class:`~.scene_runs.SceneRuns`.

    Returns:
        str: Two tables in Markdown, the second of differences paired by
        seed, if there is a pair. APs are in percent, deviations those of a
        sample, n - 1.
    """
    groups: dict[tuple, dict[int, dict]] = {}
    for record in records:
        key = record['detector'], record['backbone'], record['start']
        groups.setdefault(key, {})[record['seed']] = record['metrics']
    header = ['detector', 'backbone', 'begins with', 'seeds']
    header += [TITLES[name] for name in METRICS]
    rows, differences = [], []
    for (detector, backbone, start), runs in groups.items():
        rows.append(
            [detector, backbone, start, str(len(runs)), *_cells(runs.values())]
        )
        base = groups.get((detector, backbone, 'random'), {})
        pairs = [
            {name: run[name] - base[seed][name] for name in run}
            for seed, run in runs.items()
            if seed in base and start != 'random'
        ]
        if pairs:
            cells = _cells(pairs, signed=True)
            differences.append(
                [detector, backbone, start, str(len(pairs)), *cells]
            )
    text = markdown_table(header, rows)
    if differences:
        text += '\n\nDifferences to random weights, paired by seed:\n\n'
        text += markdown_table(header, differences)
    return text


def _cells(runs, signed: bool = False) -> list[str]:
    cells = []
    for name in METRICS:
        values = [100 * run[name] for run in runs if name in run]
        cells.append(summary_text(mean_and_deviation(values), signed=signed))
    return cells
