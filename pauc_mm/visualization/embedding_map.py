# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Maps of embeddings in the plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .style import (
    COLOURS,
    MARKERS,
    MAX_LEGEND,
    check_series,
    colour,
    marker,
    new_figure,
    save,
)

__all__ = ['COLOURS', 'MARKERS', 'plot_embedding_maps', 'tsne_map']


def tsne_map(embeddings: np.ndarray, seed: int = 0) -> np.ndarray:
    """Places of embeddings in the plane, by scikit-learn's t-SNE.

    Args:
        embeddings (np.ndarray): Shape (N, D), N >= 5.
        seed (int): Random state. Defaults to 0.

    Returns:
        np.ndarray: Shape (N, 2), float32.

    Raises:
        ValueError: If there are fewer than five embeddings, or one is not
            finite.
    """
    from sklearn.manifold import TSNE

    embeddings = np.asarray(embeddings)
    if embeddings.ndim != 2 or len(embeddings) < 5:
        raise ValueError(
            f't-SNE needs a (N, D) array with N >= 5, not {embeddings.shape}.'
        )
    if not np.isfinite(embeddings).all():
        raise ValueError('t-SNE needs finite embeddings; some are not.')
    if not np.ptp(embeddings, axis=0).any():
        # scikit-learn divides by their deviation, and crashes.
        raise ValueError('t-SNE needs embeddings that differ; all are equal.')
    perplexity = min(30.0, (len(embeddings) - 1) / 3)
    return TSNE(
        perplexity=perplexity,
        init='pca',
        learning_rate='auto',
        random_state=seed,
    ).fit_transform(embeddings)


def plot_embedding_maps(
    maps: Mapping[str, np.ndarray],
    labels: np.ndarray | None,
    class_names: Sequence[str] | None,
    path: str | Path,
    title: str,
) -> Path:
    """Draw maps of the same samples side by side, coloured by class.

    Up to 12 named classes are named in the map and in a legend. Of more, or
    of groups without names such as clusters, colours and markers repeat, and
    a note says how many there are.

    Args:
        maps (dict[str, np.ndarray]): Caption and places (N, 2) of each map.
        labels (np.ndarray, optional): Class or cluster of each sample, shape
            (N,), int from 0. None draws all in one colour.
        class_names (Sequence[str], optional): Names of the classes.
        path (str or Path): Image file to write; its folder is made.
        title (str): Title of the figure.

    Returns:
        Path: The file.

    Raises:
        TypeError: If ``maps`` is no mapping.
        ValueError: If there is no map, or shapes or labels do not fit.
    """
    check_series(maps, 'maps')
    maps = {key: _check_places(key, places) for key, places in maps.items()}
    groups = _check_labels(labels, class_names, maps)
    named = class_names is not None and 0 < len(class_names) <= MAX_LEGEND
    figure = new_figure(5.2 * len(maps) + named, 5.4)
    axes = figure.subplots(1, len(maps), squeeze=False)[0]
    for axis, (caption, places) in zip(axes, maps.items()):
        for c in groups:
            members = places if labels is None else places[labels == c]
            name = class_names[c] if named and labels is not None else None
            axis.scatter(
                *members.T,
                s=22,
                color=colour(c),
                marker=marker(c),
                alpha=0.8,
                linewidths=0,
                label=name,
            )
            if name is not None and len(members):
                _name(axis, members, name, c)
        axis.set_title(caption)
        axis.set_xticks([])
        axis.set_yticks([])
    if labels is not None and named:
        handles, names = axes[-1].get_legend_handles_labels()
        figure.legend(
            handles, names, loc='outside right center', title='class'
        )
    elif labels is not None:
        figure.supxlabel(
            f'{len(np.unique(labels))} groups, too many to name: colours and '
            'markers repeat'
            if class_names is not None
            else f'{len(np.unique(labels))} groups: colours and markers '
            'repeat',
            size=9,
        )
    figure.suptitle(title)
    return save(figure, path)


def _name(axis, members: np.ndarray, name: str, c: int) -> None:
    axis.annotate(
        name,
        np.median(members, axis=0),
        ha='center',
        va='center',
        weight='bold',
        bbox=dict(
            boxstyle='round,pad=0.2',
            facecolor='white',
            edgecolor=colour(c),
            alpha=0.85,
        ),
    )


def _check_places(key: str, places: np.ndarray) -> np.ndarray:
    places = np.asarray(places)
    if places.ndim != 2 or places.shape[1] != 2 or not len(places):
        raise ValueError(
            f'maps[{key!r}] must have shape (N, 2), not {places.shape}: use '
            'tsne_map(embeddings).'
        )
    if not np.isfinite(places).all():
        raise ValueError(f'maps[{key!r}] must be finite.')
    return places


def _check_labels(labels, class_names, maps) -> Sequence[int]:
    """The groups to draw; those of a legend even where they are empty."""
    if labels is None:
        return range(1)
    for key, places in maps.items():
        if np.shape(labels) != (len(places),):
            raise ValueError(
                f'labels must be one number for each of the {len(places)} '
                f'places of maps[{key!r}], got shape {np.shape(labels)}.'
            )
    if np.min(labels) < 0:
        raise ValueError(
            f'labels must be class numbers from 0, got {np.min(labels)}.'
        )
    if class_names is None or len(class_names) > MAX_LEGEND:
        return np.unique(labels)
    if len(class_names) <= np.max(labels):
        raise ValueError(
            f'class_names has {len(class_names)} names, but the labels go up '
            f'to {np.max(labels)}.'
        )
    return range(len(class_names))
