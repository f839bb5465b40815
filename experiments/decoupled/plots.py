# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Plots of the study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.lines import Line2D

from experiments.runner.column import BySeed
from experiments.runner.unique_shares_hook import EPSILONS
from pauc_mm.visualization.style import (
    colour,
    marker,
    new_figure,
    save,
    tidy,
)

from .results import KNN, UNIQUE, UNIQUE_USED, Grouped, records
from .settings import METHODS

_STYLES = (('unique', '-', 'of all'), ('unique_used', '--', 'of those in use'))
# Where the logarithmic axis of epochs shows the start.
_START = 0.5


def plot_over_training(grouped: Grouped, path: str | Path) -> Path:
    """Plot the shares of unique prototypes over the epochs.

    Data sets and tails are rows of panels, thresholds columns, methods lines:
    mean over seeds with a band from minimum to maximum; solid of all
    prototypes, dashed of those in use.
    """
    rows, columns = len(grouped), len(EPSILONS)
    figure = new_figure(2.7 * columns + 0.4, 2.05 * rows + 1.1)
    axes = figure.subplots(
        rows, columns, squeeze=False, sharey=True, sharex='row'
    )
    for line, (where, methods) in zip(axes, grouped.items()):
        for i, axis in enumerate(line):
            for method, by_seed in methods.items():
                _draw_run(axis, method, by_seed, i)
            _epoch_axis(axis, methods)
            axis.set_ylim(-4, 104)
            tidy(axis)
        line[0].set_ylabel(f'{", ".join(where)}\nunique (%)')
    for axis, epsilon in zip(axes[0], EPSILONS):
        axis.set_title(f'cosine distance {epsilon:g}', size=10)
    for axis in axes[-1]:
        axis.set_xlabel('epoch')
    _legend(figure, grouped)
    figure.suptitle('Unique prototypes over training')
    return save(figure, path)


def plot_end(grouped: Grouped, path: str | Path) -> Path:
    """Plot the final shares of unique prototypes above the kNN accuracy.

    Data sets and tails are columns. Above are the unique shares at each
    threshold, below the accuracy of all classes and of head, middle and tail,
    with a small mark for each seed.
    """
    columns = len(grouped)
    figure = new_figure(max(2.9 * columns, 5.2) + 0.3, 6.2)
    axes = figure.subplots(2, columns, squeeze=False, sharey='row')
    for column, (where, methods) in zip(axes.T, grouped.items()):
        upper, lower = column
        upper.set_title(', '.join(where), size=10)
        for measured, style in ((UNIQUE, '-'), (UNIQUE_USED, '--')):
            _draw_columns(upper, methods, measured, style)
        shown = [c for c in KNN if any(map(c.by_seed, methods.values()))]
        _draw_columns(lower, methods, shown, 'none')
        upper.set_ylim(-4, 104)
        for axis in (upper, lower):
            tidy(axis, grid='y')
        upper.set_xlabel('cosine distance')
        lower.set_xlabel('classes')
    axes[0, 0].set_ylabel('unique prototypes (%)')
    axes[1, 0].set_ylabel('kNN accuracy, k = 20 (%)')
    _legend(figure, grouped)
    return save(figure, path)


def _draw_run(axis, method: str, by_seed: BySeed, index: int):
    runs = [records(result) for result in by_seed.values()]
    # Seeds of one length have the same epochs.
    epochs = [r['epoch'] for r in runs[0]]
    x = [max(epoch, _START) for epoch in epochs]
    i = list(METHODS).index(method)
    for name, style, _ in _STYLES:
        values = np.array(
            [[100 * r[name][index] for r in run] for run in runs]
        )
        axis.plot(
            x,
            values.mean(axis=0),
            color=colour(i),
            linestyle=style,
            marker=marker(i) if style == '-' else None,
            markersize=4,
            linewidth=1.7,
        )
        axis.fill_between(
            x,
            values.min(axis=0),
            values.max(axis=0),
            color=colour(i),
            alpha=0.18,
            linewidth=0,
        )


def _epoch_axis(axis, methods) -> None:
    result = next(iter(next(iter(methods.values())).values()))
    epochs = [r['epoch'] for r in records(result)]
    axis.set_xscale('log')
    ticks = [e for e in epochs if e in (0, 1, 5, 20, 80, epochs[-1])]
    # Their labels would overlap.
    if len(ticks) > 1 and ticks[-1] < 2 * ticks[-2]:
        del ticks[-2]
    axis.set_xticks(
        [max(e, _START) for e in ticks],
        [str(e) if e else 'start' for e in ticks],
    )
    axis.minorticks_off()
    axis.tick_params(labelsize=8.5)


def _draw_columns(axis, methods, columns: Sequence, style: str) -> None:
    """Plot means as marks, joined by a line or not, and small seeds."""
    shift = 0.16 if style == 'none' else 0
    for number, (method, by_seed) in enumerate(methods.items()):
        i = list(METHODS).index(method)
        offset = shift * (number - (len(methods) - 1) / 2)
        points = [list(c.by_seed(by_seed).values()) for c in columns]
        x = np.arange(len(columns)) + offset
        axis.plot(
            x,
            [np.mean(values) if values else np.nan for values in points],
            color=colour(i),
            marker=marker(i),
            markersize=6,
            linestyle=style,
            linewidth=1.7,
            zorder=3,
        )
        for across, values in zip(x, points):
            axis.plot(
                [across] * len(values),
                values,
                color=colour(i),
                marker='_',
                linestyle='-',
                linewidth=0.8,
                markersize=7,
                alpha=0.7,
            )
    axis.set_xticks(range(len(columns)), [c.title for c in columns])
    axis.set_xlim(-0.5, len(columns) - 0.5)
    axis.tick_params(labelsize=8.5)


def _legend(figure, grouped: Grouped) -> None:
    names = list(dict.fromkeys(m for ms in grouped.values() for m in ms))
    lines = []
    for name in names:
        i = list(METHODS).index(name)
        lines.append(
            Line2D(
                [],
                [],
                color=colour(i),
                marker=marker(i),
                linestyle='-',
                label=METHODS[name].label,
            )
        )
    for _, style, label in _STYLES:
        lines.append(
            Line2D([], [], color='0.35', linestyle=style, label=label)
        )
    figure.legend(
        handles=lines,
        loc='outside lower center',
        ncols=4,
        fontsize=9,
        frameon=False,
    )
