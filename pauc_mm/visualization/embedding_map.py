# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Draw maps of embeddings in the plane."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .style import CENTRED, MAX_LEGEND, colour, marker, new_figure, save


def tsne_map(embeddings: np.ndarray, seed: int = 0) -> np.ndarray:
    """Map embeddings to the plane by scikit-learn's t-SNE.

    Args:
        embeddings (np.ndarray): Shape (N, D), N >= 2.
        seed (int): Random state.

    Returns:
        np.ndarray: Shape (N, 2), float32.

    Raises:
        ValueError: If all are equal, or one is not finite.
    """
    from sklearn.manifold import TSNE

    if not np.ptp(embeddings, axis=0).any():
        # scikit-learn 1.9 divides by their deviation and ends the process.
        raise ValueError('embeddings must differ, but all are equal.')
    perplexity = min(30.0, (len(embeddings) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, random_state=seed)
    return tsne.fit_transform(embeddings)


def plot_embedding_maps(
    maps: Mapping[str, np.ndarray],
    labels: np.ndarray | None,
    class_names: Sequence[str] | None,
    path: str | Path,
    title: str,
) -> Path:
    """Draw maps of the same samples side by side, coloured by class.

    Up to 12 named classes are named in the map and in a legend. With more, or
    with groups without names such as clusters, colours and markers repeat,
    and a note gives their number.

    Args:
        maps (dict[str, np.ndarray]): Points (N, 2) of each map by caption.
        labels (np.ndarray, optional): Class or cluster of each sample, shape
            (N,), int from 0. None draws all in one colour.
        class_names (sequence of str, optional): Names of the classes.
        path (str or Path): File to write; its folder is made.
        title (str): Title of the figure.
    """
    named = class_names is not None and 0 < len(class_names) <= MAX_LEGEND
    groups: Sequence[int] = range(1)
    if labels is not None:
        # The legend names empty classes too.
        groups = range(len(class_names)) if named else np.unique(labels)
    figure = new_figure(5.2 * len(maps) + named, 5.4)
    axes = figure.subplots(1, len(maps), squeeze=False)[0]
    for axis, (caption, points) in zip(axes, maps.items()):
        for c in groups:
            members = points if labels is None else points[labels == c]
            name = class_names[c] if named and labels is not None else None
            look = dict(color=colour(c), marker=marker(c), label=name)
            axis.scatter(*members.T, s=22, alpha=0.8, linewidths=0, **look)
            if name is not None and len(members):
                box = dict(boxstyle='round,pad=0.2', edgecolor=colour(c))
                box.update(facecolor='white', alpha=0.85)
                middle = np.median(members, axis=0)
                axis.annotate(name, middle, bbox=box, **CENTRED)
        axis.set(title=caption, xticks=[], yticks=[])
    if labels is not None and named:
        legend = axes[-1].get_legend_handles_labels()
        figure.legend(*legend, loc='outside right center', title='class')
    elif labels is not None:
        many = ', too many to name' if class_names is not None else ''
        note = f'{len(groups)} groups{many}: colours and markers repeat'
        figure.supxlabel(note, size=9)
    figure.suptitle(title)
    return save(figure, path)
