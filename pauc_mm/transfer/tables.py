# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The results of the evaluations of frozen features as text."""

from __future__ import annotations

from collections.abc import Sequence


def probe_table(result: dict) -> str:
    """Held-out accuracies of all rates, and the accuracy on the test.

    Args:
        result (dict): Of :func:`~.evaluations.evaluate_linear_probe`.

    Returns:
        str: Markdown.
    """
    runs = result['runs']
    seeds = [f'seed {run["seed"]}' for run in runs]
    decays = len({wd for _, wd, _ in runs[0]['held_out']}) > 1
    rows = []
    for number, (lr, wd, _) in enumerate(runs[0]['held_out']):
        row = [f'{lr:.3g}', *([f'{wd:.3g}'] if decays else [])]
        for run in runs:
            value = run['held_out'][number][2]
            own = (run['learning_rate'], run['weight_decay']) == (lr, wd)
            cell = 'diverged' if value is None else f'{value:.4f}'
            row.append(f'{cell} (chosen)' if own else cell)
        rows.append(row)
    header = ['learning rate', *(['weight decay'] if decays else []), *seeds]
    lines = [
        _heading(result),
        f'Accuracy on {result["num_held_out"]} held-out training images, '
        f'{result["epochs"]} epochs:',
        markdown(header, rows),
    ]
    for run in runs:
        if run['at_an_end']:
            lines.append(
                f'Seed {run["seed"]} chose the last of the learning rates, '
                f'{run["learning_rate"]:.3g}: one beyond it may be better.'
            )
    top = [
        [f'top-{k}', *(f'{run["test"][k]:.4f}' for run in runs)]
        for k in runs[0]['test']
    ]
    lines += ['Accuracy on the test images:', markdown(['', *seeds], top)]
    if len(runs) > 1:
        both = with_std(result['mean'], result['std'])
        lines.append(f'top-1 over {len(runs)} seeds: {both}')
    return '\n\n'.join(lines)


def low_shot_table(result: dict) -> str:
    """A row for each k.

    Args:
        result (dict): Of :func:`~.evaluations.evaluate_low_shot`.

    Returns:
        str: Markdown.
    """
    rows = [
        [
            str(row['k']),
            with_std(row['mean'], row['std']),
            str(len(row['values'])),
            _range(row['images'], '{:.0f}'),
            _range(_flat(row['costs']), '{:.3g}'),
        ]
        for row in result['rows']
    ]
    header = ['k', result['metric'], 'draws', 'images', 'costs chosen']
    lines = [_heading(result), markdown(header, rows)]
    unconverged = sum(row['unconverged'] for row in result['rows'])
    if unconverged:
        lines.append(
            f'{unconverged} SVMs stopped at the largest number of iterations '
            'and not by their tolerance, which high costs do.'
        )
    return '\n\n'.join(lines)


def knn_table(result: dict) -> str:
    """A row for each k.

    Args:
        result (dict): Of :func:`~.evaluations.evaluate_knn`.

    Returns:
        str: Markdown.
    """
    rows = [[k, f'{value:.4f}'] for k, value in result['accuracies'].items()]
    title = f'Temperature {result["temperature"]:g}.'
    table = markdown(['k', 'accuracy'], rows)
    return '\n\n'.join([_heading(result), title, table])


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose columns line up as plain text too.

    Args:
        header (sequence of str): Names of the columns.
        rows (sequence of sequence of str): Cells.

    Returns:
        str: Lines.
    """
    widths = [
        max(len(cell) for cell in column) for column in zip(header, *rows)
    ]
    rule = ['-' * max(width, 3) for width in widths]
    lines = [header, rule, *rows]
    return '\n'.join(
        '| '
        + ' | '.join(c.ljust(max(w, 3)) for c, w in zip(line, widths))
        + ' |'
        for line in lines
    )


def with_std(mean: float, std: float | None) -> str:
    """Such as '0.9731 ± 0.0042', or the mean alone."""
    return f'{mean:.4f}' if std is None else f'{mean:.4f} ± {std:.4f}'


def _heading(result: dict) -> str:
    return (
        f'train: {result["train"]}\ntest: {result["test"]}; '
        f'{result["num_classes"]} classes'
    )


def _flat(costs: list) -> list[float]:
    """Costs of all draws, of which some have one for each class."""
    return [
        cost
        for own in costs
        for cost in (own if isinstance(own, list) else [own])
    ]


def _range(values: Sequence[float], form: str) -> str:
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f'{low} to {high}'
