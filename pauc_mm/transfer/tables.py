# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Format the evaluations of frozen features as Markdown."""

from collections.abc import Sequence

import numpy as np

from pauc_mm.embedding.preprocessing import input_line
from pauc_mm.utils.tables import Summary, markdown_table


def probe_table(result: dict) -> str:
    """Format :func:`~.evaluations.evaluate_linear_probe`."""
    runs = result['runs']
    seeds = [f'seed {run["seed"]}' for run in runs]
    pairs = [(lr, wd) for lr, wd, _ in runs[0]['held_out']]
    decays = len({wd for _, wd in pairs}) > 1
    rows = []
    for index, (lr, wd) in enumerate(pairs):
        row = [f'{lr:.3g}', *([f'{wd:.3g}'] if decays else [])]
        for run in runs:
            value = run['held_out'][index][2]
            chosen = (run['learning_rate'], run['weight_decay']) == (lr, wd)
            cell = 'diverged' if value is None else f'{value:.4f}'
            row.append(f'{cell} (chosen)' if chosen else cell)
        rows.append(row)
    header = ['learning rate', *(['weight decay'] if decays else []), *seeds]
    lines = [
        _heading(result),
        f'Accuracy on {result["num_held_out"]} held-out training images, '
        f'{result["epochs"]} epochs:',
        markdown_table(header, rows),
    ]
    lines += [
        f'Seed {run["seed"]} chose a learning rate at an end of the range, '
        f'{run["learning_rate"]:.3g}: one beyond it may be better.'
        for run in runs
        if run['at_an_end']
    ]
    top = [
        [f'top-{k}', *(f'{run["test"][k]:.4f}' for run in runs)]
        for k in runs[0]['test']
    ]
    table = markdown_table(['', *seeds], top)
    lines += ['Accuracy on the test images:', table]
    if len(runs) > 1:
        lines.append(f'top-1 over {len(runs)} seeds: {_summary(result)}')
    return '\n\n'.join(lines)


def low_shot_table(result: dict) -> str:
    """Format :func:`~.evaluations.evaluate_low_shot`, a row for each k."""
    rows = [
        [
            row['k'],
            _summary(row),
            len(row['values']),
            _range(row['images'], '.0f'),
            _range(np.hstack(row['costs']), '.3g'),  # some: one for a class
        ]
        for row in result['rows']
    ]
    header = ['k', result['metric'], 'draws', 'images', 'costs chosen']
    lines = [_heading(result), markdown_table(header, rows)]
    unconverged = sum(row['unconverged'] for row in result['rows'])
    if unconverged:
        lines.append(
            f'{unconverged} SVMs reached the largest number of iterations '
            'before their tolerance, as is common with high costs.'
        )
    return '\n\n'.join(lines)


def knn_table(result: dict) -> str:
    """Format :func:`~.evaluations.evaluate_knn`, a row for each k."""
    rows = [[k, f'{value:.4f}'] for k, value in result['accuracies'].items()]
    title = f'Temperature {result["temperature"]:g}.'
    table = markdown_table(['k', 'accuracy'], rows)
    return '\n\n'.join([_heading(result), title, table])


def _summary(result: dict) -> str:
    return Summary(result['mean'], result['std']).text(4)


def _heading(result: dict) -> str:
    return '\n'.join(
        [
            f'encoder: {result["layout"]}',
            *(f'- {note}' for note in result['notes']),
            input_line(result['input']),
            f'train: {result["train"]}',
            f'test: {result["test"]}; {result["num_classes"]} classes',
        ]
    )


def _range(values: Sequence[float], form: str) -> str:
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f'{low} to {high}'
