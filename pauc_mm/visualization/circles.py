# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Draw embeddings on the unit circle, with their density around it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .style import CENTRED, MAX_LEGEND, colour, marker, panels, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ANGLES = 720
# Radii: points lie at 1 or, by class, on tracks within; the density outside.
_INNERMOST = 0.8
_GROUND = 1.06
_HEIGHT = 0.62


def circle_projection(embeddings: np.ndarray) -> tuple[np.ndarray, float]:
    """Project embeddings onto the unit circle.

    Embeddings are normalised. Those of more than two dimensions are then
    projected onto the two leading singular directions, normalised again, and
    turned so that their mean points to the upper right. Nothing is centred: a
    collapsed embedding stays a point, where centring would blow up its
    rounding errors to a full circle. Voids of the hypersphere need not show:
    read the picture only if the share kept is high.

    Args:
        embeddings (np.ndarray): Shape (N, D), D >= 2, real.

    Returns:
        tuple[np.ndarray, float]: Unit vectors, shape (N, 2), float64; and the
        share kept, the mean squared length of the projected unit vectors, in
        (0, 1], 1 for D = 2.

    Raises:
        ValueError: If the shape is another, an embedding is not finite, or
            one has no direction in the plane.
    """
    points = np.asarray(embeddings, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] < 2 or not len(points):
        raise ValueError(
            'embeddings must have shape (N, D) with N >= 1 and D >= 2, got '
            f'{points.shape}.'
        )
    _refuse(~np.isfinite(points).all(axis=1), 'are not finite')
    points = _normalised(points, 'have zero norm')
    if points.shape[1] == 2:
        return points, 1.0
    # Eigenvectors of (D, D) suffice, as D is small beside N.
    _, axes = np.linalg.eigh(points.T @ points)
    points = points @ axes[:, :-3:-1]
    points *= np.where(points.mean(axis=0) < 0, -1, 1)
    share = float(np.square(points).sum(axis=1).mean())
    return _normalised(points, 'have no part in the plane'), min(share, 1.0)


def circle_density(
    points: np.ndarray, kappa: float = 100.0
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the density of points on the circle with von Mises kernels.

    Of unit vectors (N, 2), each moved to the nearest of 720 angles. The
    kernel's width is about 1 / sqrt(kappa) radians: 6 degrees for 100.

    Returns:
        tuple[np.ndarray, np.ndarray]: Angles in radians, from -pi, and the
        density per radian, both of shape (720,), float64.
    """
    step = 2 * math.pi / _ANGLES
    angles = -math.pi + step * np.arange(_ANGLES)
    theta = np.arctan2(points[:, 1], points[:, 0])
    nearest = np.rint((theta + math.pi) / step).astype(int) % _ANGLES
    counts = np.bincount(nearest, minlength=_ANGLES)
    kernel = np.exp(kappa * (np.cos(step * np.arange(_ANGLES)) - 1))
    spectrum = np.fft.rfft(counts) * np.fft.rfft(kernel)
    smooth = np.fft.irfft(spectrum, _ANGLES).clip(min=0)
    return angles, smooth / (smooth.sum() * step)


def draw_circle(
    axis: Axes,
    points: np.ndarray,
    labels: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
    peak: float | None = None,
    size: float = 6.0,
) -> float:
    """Draw points on the unit circle and their density as a ring around it.

    Each class has a track of its own just within the circle, so that classes
    at one angle do not hide each other. The height of the grey ring is the
    density in multiples of the uniform density, which is dashed.

    Args:
        axis (Axes): Axes to draw into.
        points (np.ndarray): Unit vectors, shape (N, 2).
        labels (np.ndarray, optional): Class of each point, shape (N,), int
            from 0. None draws all in one colour.
        class_names (sequence of str, optional): Names of the classes, written
            inside if there are at most 12.
        peak (float, optional): Density of the full height, in multiples of
            the uniform one; by default the highest, but at least 2.
        size (float): Area of a marker in points^2.

    Returns:
        float: The highest density, in multiples of the uniform one.
    """
    angles, density = circle_density(points)
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
    labels: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
) -> Path:
    """Draw several sets of points on the circle, one panel each.

    Follows figure 2 of `PAUC <https://arxiv.org/abs/2210.10194>`_. The panels
    share the scale of the density.

    Args:
        points (dict[str, np.ndarray]): Unit vectors (N, 2) of each panel by
            caption; see :func:`circle_projection`.
        path (str or Path): File to write; its folder is made.
        labels (np.ndarray, optional): Class of each point, shape (N,).
        class_names (sequence of str, optional): Names of the classes.
    """
    highest = {
        key: 2 * math.pi * circle_density(panel)[1].max()
        for key, panel in points.items()
    }
    peak = max(2.0, *highest.values())
    figure, axes = panels(len(points), 3.4, 3.75)
    for axis, (key, panel) in zip(axes, points.items()):
        draw_circle(axis, panel, labels, class_names, peak)
        axis.set_title(f'{key}\npeak {highest[key]:.1f} x uniform', size=10)
    figure.suptitle('Embeddings on the unit circle')
    note = 'ring: density of the points; dashed: uniform density'
    figure.supxlabel(note, size=9)
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
    look = dict(s=size, linewidths=0, zorder=4)
    if labels is None:
        axis.scatter(*points.T, color=colour(0), alpha=0.35, **look)
        return
    number = int(labels.max()) + 1
    radii = np.linspace(1, _INNERMOST, number)
    for c in np.unique(labels):
        members = points[labels == c]
        look.update(color=colour(c), marker=marker(c), alpha=0.5)
        axis.scatter(*(members * radii[c]).T, **look)
        if class_names is None or number > MAX_LEGEND:
            continue
        # Its name inside the circle at the mean direction; neighbours at
        # different depths, so as not to overlap.
        mean = members.mean(axis=0)
        norm = np.linalg.norm(mean)
        direction = mean / norm if norm > 1e-6 else members[0]
        place = direction * (0.6 - 0.16 * (c % 3))
        text = dict(CENTRED, color=colour(c), size=8, zorder=5)
        axis.annotate(class_names[c], place, **text)


def _normalised(points: np.ndarray, fault: str) -> np.ndarray:
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    _refuse(norms[:, 0] == 0, fault)
    return points / norms


def _refuse(bad: np.ndarray, fault: str) -> None:
    if bad.any():
        raise ValueError(
            f'{bad.sum()} of {len(bad)} embeddings {fault}; first rows: '
            f'{np.flatnonzero(bad)[:5].tolist()}.'
        )
