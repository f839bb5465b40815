# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Plot of the toy experiment, after PAUC's figure 2."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from experiments.runner import Store
from pauc_mm.visualization.circles import draw_circle
from pauc_mm.visualization.style import colour, marker, new_figure, save

from .blobs import sample_blobs
from .methods import METHODS
from .settings import Settings
from .toy_run import ANGLES, toy_run

_PANEL = 2.9  # inches
_POINTS_IN_SPACE = 3000
# Density, in multiples of the uniform one, at the edge of a panel.
_PEAK = 3.5


def plot_toy(
    store: Store,
    methods: Sequence[str],
    classes: Sequence[int],
    seed: int,
    settings: Settings,
    path: str | Path,
) -> Path:
    """Plot the input space, and below it the embeddings of each method."""
    rows, columns = len(methods) + 1, len(classes)
    figure = new_figure(_PANEL * columns + 0.5, _PANEL * rows + 0.9)
    grid = figure.add_gridspec(rows, columns)
    for j, c in enumerate(classes):
        blobs = sample_blobs(c, seed, settings)
        runs = {m: toy_run(m, c, seed, settings) for m in methods}
        angles = {
            m: np.load(store.folder(run).path / ANGLES)
            for m, run in runs.items()
        }
        labels = _numbered_by_angle(angles[methods[0]], blobs.labels.numpy())
        space = figure.add_subplot(grid[0, j], projection='3d')
        _draw_space(space, blobs.points.numpy(), labels)
        space.set_title(f'{c} classes', size=13, weight='bold')
        if not j:
            _name_row(space, 'input space', three_d=True)
        for i, method in enumerate(methods, 1):
            axis = figure.add_subplot(grid[i, j])
            _draw_embeddings(axis, angles[method], labels)
            _write_metrics(axis, store.finished(runs[method]).metrics)
            if not j:
                _name_row(axis, METHODS[method].label)
    caption = (
        'Coloured: embeddings on the unit circle, each class on a track of '
        'its own; classes are numbered along the circle of the first method. '
        'Grey ring: density of the embeddings; dashed: uniform density; cut '
        f'at {_PEAK:g} times that. NEMD is that of the classes. '
        f'Seed {seed}.'
    )
    figure.supxlabel(textwrap.fill(caption, 34 * columns), size=10)
    return save(figure, path)


def _numbered_by_angle(angles: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Number the classes by the mean direction of their embeddings.

    Colours repeat after eight classes; neighbours then differ.
    """
    classes = int(labels.max()) + 1
    sums = [np.exp(1j * angles[labels == c]).sum() for c in range(classes)]
    return np.argsort(np.argsort(np.angle(sums)))[labels]


def _draw_space(axis, points: np.ndarray, labels: np.ndarray) -> None:
    classes = int(labels.max()) + 1
    shown = max(1, _POINTS_IN_SPACE // classes)
    for c in range(classes):
        members = points[labels == c][:shown]
        axis.scatter(
            *members.T,
            s=3,
            color=colour(c),
            marker=marker(c),
            alpha=0.5,
            linewidths=0,
            depthshade=False,
        )
    axis.set_box_aspect(None, zoom=1.2)
    axis.set(xticklabels=[], yticklabels=[], zticklabels=[])
    axis.tick_params(length=0)


def _draw_embeddings(axis, angles: np.ndarray, labels: np.ndarray) -> None:
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    draw_circle(axis, points, labels, peak=_PEAK, size=4)


def _write_metrics(axis, metrics: Mapping[str, float]) -> None:
    axis.text(
        0,
        0.16,
        f'NEMD {metrics["nemd_classes"]:.3f}',
        ha='center',
        va='center',
        size=11,
        weight='bold',
    )
    axis.text(
        0,
        -0.22,
        f'kNN {metrics["knn"]:.3f}\nvoid {metrics["void"]:.2f}',
        ha='center',
        va='center',
        size=9,
        color='0.25',
    )


def _name_row(axis, name: str, three_d: bool = False) -> None:
    name = textwrap.fill(name, 20)
    style = dict(transform=axis.transAxes, rotation=90, size=12)
    style.update(ha='center', va='center', weight='bold')
    if three_d:
        axis.text2D(-0.06, 0.5, name, **style)
    else:
        axis.text(-0.06, 0.5, name, **style)
