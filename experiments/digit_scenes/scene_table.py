# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence

from experiments.runner import RunResult, metric_column
from pauc_mm.utils.tables import (
    markdown_table,
    mean_and_deviation,
    summary_text,
)

COLUMNS = (
    metric_column('box AP', 'bbox_mAP', 100),
    metric_column('box AP50', 'bbox_mAP_50', 100),
    metric_column('mask AP', 'segm_mAP', 100),
    metric_column('mask AP50', 'segm_mAP_50', 100),
)


def scene_table(results: Sequence[RunResult]) -> str:
    """Tabulate means and deviations over seeds."""
    groups: dict[tuple, dict[int, RunResult]] = {}
    for result in results:
        setting = result.setting
        key = setting['detector'], setting['backbone'], setting['start']
        groups.setdefault(key, {})[setting['seed']] = result
    header = ['detector', 'backbone', 'begins with', 'seeds']
    header += [column.title for column in COLUMNS]
    rows, differences = [], []
    for (detector, backbone, start), by_seed in groups.items():
        names = [detector, backbone, start]
        cells = [column.text(by_seed) for column in COLUMNS]
        rows.append([*names, len(by_seed), *cells])
        random = groups.get((detector, backbone, 'random'), {})
        pairs = len(set(by_seed) & set(random))
        if start == 'random' or not pairs:
            continue
        cells = []
        for column in COLUMNS:
            values, other = column.by_seed(by_seed), column.by_seed(random)
            paired = [v - other[s] for s, v in values.items() if s in other]
            summary = mean_and_deviation(paired)
            cells.append(summary_text(summary, signed=True))
        differences.append([*names, pairs, *cells])
    text = markdown_table(header, rows)
    if differences:
        text += '\n\nDifferences from random weights, paired by seed:\n\n'
        text += markdown_table(header, differences)
    return text
