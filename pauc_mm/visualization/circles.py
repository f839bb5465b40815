# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Embeddings on the unit circle, with their density around it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .circle_projection import circle_density
from .style import MAX_LEGEND, check_series, colour, marker, panels, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Radii: points lie on 1 or, by class, on tracks within; the density around.
_INNERMOST = 0.8
_GROUND = 1.06
_HEIGHT = 0.62


def draw_circle(
    axis: Axes,
    points: np.ndarray,
    labels: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
    peak: float | None = None,
    kappa: float = 100.0,
    size: float = 6.0,
) -> float:
    """Draw points on the unit circle and their density as a ring around it.

    Points of class c lie on a track of their own just within the circle, so
    that classes at one angle do not hide each other. The height of the grey
    ring is the density in multiples of the uniform one, which is dashed.

    Args:
        axis (Axes): Where to draw.
        points (np.ndarray): Unit vectors, shape (N, 2).
        labels (np.ndarray, optional): Class of each point, shape (N,), int
            from 0. Defaults to None: one colour.
        class_names (sequence of str, optional): Names, at least as many as
            there are classes; at most 12 are written inside.
        peak (float, optional): Density, in multiples of the uniform one, that
            gets the full height; the same in several panels makes them
            comparable, and what exceeds it is cut. Defaults to None: the
            highest of these points, but at least 2.
        kappa (float): See :func:`circle_density`. Defaults to 100.
        size (float): Area of a marker in points^2. Defaults to 6.

    Returns:
        float: The highest density, in multiples of the uniform one.

    Raises:
        ValueError: If the points are not unit vectors in the plane, or the
            labels do not fit them.
    """
    points = _check_points(points)
    labels = _check_labels(labels, len(points), class_names)
    angles, density = circle_density(points, kappa)
    relative = density * 2 * math.pi
    highest = float(relative.max())
    _draw_ring(axis, angles, relative, peak or max(highest, 2.0))
    _draw_points(axis, points, labels, class_names, size)
    axis.set_aspect('equal')
    reach = _GROUND + _HEIGHT + 0.04
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach))
    axis.set_axis_off()
    return highest


def plot_circles(
    points: Mapping[str, np.ndarray],
    path: str | Path,
    labels: np.ndarray | Mapping[str, np.ndarray] | None = None,
    class_names: Sequence[str] | None = None,
    title: str = 'Embeddings on the unit circle',
    columns: int = 4,
) -> Path:
    """Draw several sets of points on the circle, one panel each.

    As figure 2 of `PAUC <https://arxiv.org/abs/2210.10194>`_. The panels
    share the scale of the density, so that rings can be compared.

    Args:
        points (dict[str, np.ndarray]): Caption and unit vectors (N, 2) of
            each panel; see :func:`circle_projection`.
        path (str or Path): Picture to write; its folder is made.
        labels (np.ndarray or dict, optional): Class of each point, shape
            (N,), for all panels or by caption. Defaults to None.
        class_names (sequence of str, optional): Names of the classes.
        title (str): Title of the figure.
        columns (int): Most panels in a row. Defaults to 4.

    Returns:
        Path: The file.

    Raises:
        TypeError: If ``points`` is no mapping.
        ValueError: If it is empty, or see :func:`draw_circle`.
    """
    check_series(points, 'points')
    points = {key: _check_points(p) for key, p in points.items()}
    if not isinstance(labels, Mapping):
        labels = dict.fromkeys(points, labels)
    if set(labels) != set(points):
        raise ValueError(
            f'labels are given for {sorted(labels)}, points for '
            f'{sorted(points)}: the captions must be the same.'
        )
    highest = {
        key: circle_density(p)[1].max() * 2 * math.pi
        for key, p in points.items()
    }
    peak = max(2.0, *highest.values())
    figure, axes = panels(len(points), 3.4, 3.75, columns)
    for axis, (key, places) in zip(axes, points.items()):
        draw_circle(axis, places, labels[key], class_names, peak)
        axis.set_title(f'{key}\npeak {highest[key]:.1f} x uniform', size=10)
    figure.suptitle(title)
    figure.supxlabel(
        'ring: density of the points; dashed: uniform density', size=9
    )
    return save(figure, path)


def _draw_ring(axis: Axes, angles, relative, peak: float) -> None:
    closed = np.append(np.arange(len(angles)), 0)
    direction = np.stack([np.cos(angles), np.sin(angles)])[:, closed]
    height = np.minimum(relative / peak, 1)[closed]
    outer = direction * (_GROUND + _HEIGHT * height)
    ground = direction * _GROUND
    ring = np.concatenate([outer, ground[:, ::-1]], axis=1)
    axis.fill(*ring, facecolor='0.78', edgecolor='none', zorder=1)
    axis.plot(*outer, color='0.35', linewidth=0.8, zorder=2)
    axis.plot(*ground, color='0.35', linewidth=0.5, zorder=2)
    uniform = direction * (_GROUND + _HEIGHT / peak)
    axis.plot(*uniform, color='0.1', linewidth=0.8, dashes=(4, 3), zorder=3)


def _draw_points(axis, points, labels, class_names, size: float) -> None:
    if labels is None:
        axis.scatter(
            *points.T, s=size, color=colour(0), alpha=0.35, linewidths=0
        )
        return
    number = int(labels.max()) + 1
    radii = np.linspace(1, _INNERMOST, number) if number > 1 else np.ones(1)
    for c in np.unique(labels):
        members = points[labels == c]
        axis.scatter(
            *(members * radii[c]).T,
            s=size,
            color=colour(c),
            marker=marker(c),
            alpha=0.5,
            linewidths=0,
            zorder=4,
        )
    if class_names is not None and number <= MAX_LEGEND:
        for c in np.unique(labels):
            _name(axis, points[labels == c], class_names[c], c)


def _name(axis, members: np.ndarray, name: str, c: int) -> None:
    """Write a class's name inside the circle at its mean direction."""
    mean = members.mean(axis=0)
    norm = np.linalg.norm(mean)
    direction = mean / norm if norm > 1e-6 else members[0]
    # Neighbours are written at different depths, not over each other.
    axis.annotate(
        name,
        direction * (0.6 - 0.16 * (c % 3)),
        color=colour(c),
        size=8,
        weight='bold',
        ha='center',
        va='center',
        zorder=5,
    )


def _check_points(points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise ValueError(
            f'points on the circle have shape (N, 2) with N >= 1, not '
            f'{points.shape}: use circle_projection(embeddings)[0].'
        )
    norms = np.linalg.norm(points, axis=1)
    far = np.flatnonzero(~(np.abs(norms - 1) < 1e-3))
    if len(far):
        raise ValueError(
            f'{len(far)} of {len(points)} points are not on the unit circle; '
            f'first rows: {far[:5].tolist()}, of norm '
            f'{norms[far[:5]].round(4).tolist()}: normalise them, or use '
            'circle_projection(embeddings)[0].'
        )
    return points


def _check_labels(labels, number: int, class_names) -> np.ndarray | None:
    if labels is None:
        return None
    labels = np.asarray(labels)
    if labels.shape != (number,) or labels.dtype.kind not in 'iu':
        raise ValueError(
            f'labels must be {number} integers, one for each point, got '
            f'shape {labels.shape} of {labels.dtype}.'
        )
    if labels.min() < 0:
        raise ValueError(
            f'labels must be class numbers from 0, got {labels.min()}.'
        )
    if class_names is not None and len(class_names) <= labels.max():
        raise ValueError(
            f'class_names has {len(class_names)} names, but the labels go up '
            f'to {labels.max()}.'
        )
    return labels
