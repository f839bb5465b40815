# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""From embeddings to the unit circle, and their density there."""

from __future__ import annotations

import math

import numpy as np


def circle_projection(embeddings: np.ndarray) -> tuple[np.ndarray, float]:
    """Put embeddings on the unit circle.

    All are normalised first. Those of two dimensions are then done; longer
    ones are projected onto the two leading singular directions, and
    normalised again, so that their mean points to the upper right. Nothing is
    centred: a collapsed embedding stays a point,
    where centring would blow up its rounding errors to a full circle. A
    sample near the centre of the plane gets a direction that means little,
    and voids of the hypersphere need not show: read the picture only if the
    share kept is high.

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
            'circle_projection needs embeddings of shape (N, D) with N >= 1 '
            f'and D >= 2, not {points.shape}.'
        )
    if not np.isfinite(points).all():
        bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
        raise ValueError(
            f'{len(bad)} of {len(points)} embeddings are not finite; first '
            f'rows: {bad[:5].tolist()}.'
        )
    points = _normalised(points, 'have zero norm')
    if points.shape[1] == 2:
        return points, 1.0
    # The eigenvectors of (D, D): D is small beside N.
    _, axes = np.linalg.eigh(points.T @ points)
    points = points @ axes[:, :-3:-1]
    points *= np.where(points.mean(axis=0) < 0, -1, 1)
    share = float(np.square(points).sum(axis=1).mean())
    return _normalised(points, 'have no part in the plane'), min(share, 1.0)


def circle_density(
    points: np.ndarray, kappa: float = 100.0, num_angles: int = 720
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the density of points on the circle with von Mises kernels.

    Args:
        points (np.ndarray): Unit vectors, shape (N, 2).
        kappa (float): Concentration of the kernel; its width is about
            1 / sqrt(kappa) radians. Defaults to 100, 6 degrees.
        num_angles (int): Angles at which it is estimated; points are moved to
            the nearest. Defaults to 720.

    Returns:
        tuple[np.ndarray, np.ndarray]: Angles in radians, from -pi, and the
        density a radian, both of shape (num_angles,), float64. The uniform
        density is 1 / (2 pi).
    """
    if not (math.isfinite(kappa) and kappa > 0):
        raise ValueError(f'kappa must be a positive number, not {kappa!r}.')
    step = 2 * math.pi / num_angles
    angles = -math.pi + step * np.arange(num_angles)
    theta = np.arctan2(points[:, 1], points[:, 0])
    places = np.rint((theta + math.pi) / step).astype(int) % num_angles
    counts = np.bincount(places, minlength=num_angles)
    kernel = np.exp(kappa * (np.cos(step * np.arange(num_angles)) - 1))
    spectrum = np.fft.rfft(counts) * np.fft.rfft(kernel)
    smooth = np.fft.irfft(spectrum, num_angles).clip(min=0)
    return angles, smooth / (smooth.sum() * step)


def _normalised(points: np.ndarray, fault: str) -> np.ndarray:
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    zero = np.flatnonzero(norms[:, 0] == 0)
    if len(zero):
        raise ValueError(
            f'{len(zero)} of {len(points)} embeddings {fault} and so have no '
            f'direction; first rows: {zero[:5].tolist()}.'
        )
    return points / norms
