# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Tables of a suite as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.runner import Column
from experiments.runner.column import BySeed
from pauc_mm.utils.tables import MISSING, Summary, markdown_table

from .results import ACCURACY, KNN_TRAIN, Tuning, best_rate, epoch_ratio
from .runs import recipe_rate
from .settings import Suite

Methods = Mapping[str, BySeed]


def accuracy_table(suite: Suite, methods: Methods) -> str:
    """Tabulate accuracies, rate and time of an epoch; best means in bold."""
    columns = columns_with_numbers(ACCURACY, methods)
    best = {
        column.title: max(
            summary.mean
            for summary in map(column.summary, methods.values())
            if summary
        )
        for column in columns
    }
    rows = []
    for method, by_seed in methods.items():
        cells = []
        for column in columns:
            text, summary = column.text(by_seed), column.summary(by_seed)
            top = summary is not None and summary.mean == best[column.title]
            cells.append(f'**{text}**' if top else text)
        rates = {r.setting['rate'] for r in by_seed.values()}
        ratio = epoch_ratio(methods, method, suite.baseline, suite.clock)
        rows.append(
            [
                suite.methods[method].title,
                str(len(by_seed)),
                *cells,
                ', '.join(f'{rate:g}' for rate in sorted(rates)),
                _ratio_text(ratio, len(by_seed)),
            ]
        )
    baseline = suite.methods[suite.baseline].label
    header = ['method', 'seeds', *(column.title for column in columns)]
    return markdown_table([*header, 'lr', f'epoch, x {baseline}'], rows)


def columns_with_numbers(
    columns: Sequence[Column], methods: Methods
) -> list[Column]:
    """Drop columns that are empty for every method."""
    return [
        column
        for column in columns
        if any(column.summary(by_seed) for by_seed in methods.values())
    ]


def _ratio_text(ratio: Summary | None, seeds: int) -> str:
    if ratio is None:
        return MISSING
    fewer = f' ({ratio.number} of {seeds})' if ratio.number < seeds else ''
    return ratio.text(2) + fewer


def difference_table(
    suite: Suite,
    methods: Methods,
    columns: Sequence[Column],
) -> str:
    """Tabulate differences from the baseline, paired by seed."""
    baseline = methods.get(suite.baseline, {})
    columns = columns_with_numbers(columns, methods)
    rows = [
        [
            suite.methods[method].title,
            str(len(set(by_seed) & set(baseline))),
            *(column.difference_text(by_seed, baseline) for column in columns),
        ]
        for method, by_seed in methods.items()
        if method != suite.baseline
    ]
    return markdown_table(
        ['method', 'pairs', *(c.title for c in columns)], rows
    )


def plain_table(
    suite: Suite,
    methods: Methods,
    columns: Sequence[Column],
) -> str:
    """Tabulate mean and deviation of some columns."""
    rows = [
        [
            suite.methods[method].title,
            *(column.text(by_seed) for column in columns),
        ]
        for method, by_seed in methods.items()
    ]
    return markdown_table(
        ['method', *(column.title for column in columns)], rows
    )


def tuning_table(suite: Suite, tuning: Tuning) -> str:
    """Tabulate the accuracy among the training images for each rate."""
    rows = []
    width = max(
        len(suite.methods[method].rates)
        for methods in tuning.values()
        for method in methods
    )
    for data, methods in tuning.items():
        for method, by_rate in methods.items():
            declared = suite.methods[method].rates
            chosen = best_rate(by_rate)
            cells = [''] * width
            for i, rate in enumerate(declared):
                if rate not in by_rate:
                    cells[i] = f'{rate:g}: {MISSING}'
                    continue
                value = KNN_TRAIN.value(by_rate[rate])
                shown = 'diverged' if value is None else f'{value:.1f}'
                text = f'{rate:g}: {shown}'
                cells[i] = f'**{text}**' if rate == chosen else text
            remarks = []
            if not set(declared) <= set(by_rate):
                remarks.append('incomplete')
            elif chosen in (min(declared), max(declared)):
                remarks.append('best at an end of the grid')
            config = suite.methods[method].config.format(data=data)
            recipe = recipe_rate(f'pauc_mm::{config}')
            if recipe != chosen:
                remarks.append(f'the recipe has {recipe:g}')
            label = suite.methods[method].label
            rows.append([data, label, *cells, ', '.join(remarks)])
    return (
        'kNN accuracy (k = 20, %) of the training images, each classified by '
        'the others, seed 0. No held-out image was looked at. A few tenths '
        'are within the noise of one seed. A remark says where the recipe '
        'has another rate than the best.\n\n'
        + markdown_table(['data', 'method', *['rate'] * width, ''], rows)
    )
