# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

# Okabe and Ito's colours and black: told apart by the colour-blind; with the
# markers they also survive a print in grey, and more than eight classes.
COLOURS = (
    '#0072B2',
    '#D55E00',
    '#009E73',
    '#CC79A7',
    '#56B4E9',
    '#E69F00',
    '#000000',
    '#B8A200',
)
MARKERS = 'osD^vP*X'


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
    perplexity = min(30.0, (len(embeddings) - 1) / 3)
    return TSNE(
        perplexity=perplexity,
        init='pca',
        learning_rate='auto',
        random_state=seed,
    ).fit_transform(embeddings)


def plot_embedding_maps(
    maps: Mapping[str, np.ndarray],
    labels: np.ndarray,
    class_names: Sequence[str],
    path: str | Path,
    title: str,
) -> Path:
    """Draw maps of the same samples side by side, coloured by class.

    Args:
        maps (dict[str, np.ndarray]): Caption and places (N, 2) of each map.
        labels (np.ndarray): Class of each sample, shape (N,), int.
        class_names (Sequence[str]): Names of the classes.
        path (str or Path): Image file to write; its folder is made.
        title (str): Title of the figure.

    Returns:
        Path: The file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(maps) + 1, 5.4), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(maps), squeeze=False)[0]
    for axis, (caption, places) in zip(axes, maps.items()):
        for c, name in enumerate(class_names):
            members = places[labels == c]
            colour = COLOURS[c % len(COLOURS)]
            marker = MARKERS[(c + c // len(COLOURS)) % len(MARKERS)]
            axis.scatter(
                *members.T,
                s=22,
                color=colour,
                marker=marker,
                alpha=0.8,
                linewidths=0,
                label=name,
            )
            if len(members):
                axis.annotate(
                    name,
                    np.median(members, axis=0),
                    ha='center',
                    va='center',
                    weight='bold',
                    bbox=dict(
                        boxstyle='round,pad=0.2',
                        facecolor='white',
                        edgecolor=colour,
                        alpha=0.85,
                    ),
                )
        axis.set_title(caption)
        axis.set_xticks([])
        axis.set_yticks([])
    handles, names = axes[-1].get_legend_handles_labels()
    figure.legend(handles, names, loc='outside right center', title='class')
    figure.suptitle(title)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    return path
