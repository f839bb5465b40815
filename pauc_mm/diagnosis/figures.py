# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The pictures of a report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pauc_mm.embedding.embedded_images import EmbeddedImages
from pauc_mm.embedding.images import ImageSource
from pauc_mm.utils import progress

from .clusterings import Clustering

# t-SNE of more takes minutes and shows no more.
MAX_TSNE = 2000
MONTAGE_ROWS = 12
MONTAGE_IMAGES = 8
MAX_CURVES = 5


@dataclass(frozen=True)
class Picture:
    """A file of the report.

    Attributes:
        path (Path): PNG.
        title (str): Heading.
        caption (str): What it shows and how to read it.
    """

    path: Path
    title: str
    caption: str


def draw_all(
    folder: Path,
    name: str,
    source: ImageSource,
    images: EmbeddedImages,
    clusterings: list[Clustering],
    measures: dict,
    tsne: bool = True,
    seed: int = 0,
) -> list[Picture]:
    """Draw every picture that the data allow.

    Args:
        folder (Path): Where to write them.
        name (str): Of the checkpoint, for titles.
        source (ImageSource): The images.
        images (EmbeddedImages): What the network makes of them.
        clusterings (list[Clustering]): The sets of prototypes.
        measures (dict): See :func:`pauc_mm.diagnosis.measure`.
        tsne (bool): Whether to draw the t-SNE map, the slowest.
            Defaults to True.
        seed (int): Of draws and t-SNE. Defaults to 0.

    Returns:
        list[Picture]: In the order of the report.
    """
    folder.mkdir(parents=True, exist_ok=True)
    groups, names, by = _groups(source, clusterings)
    jobs = {
        'unique_prototypes.png': lambda path: _unique(path, measures),
        'spectrum.png': lambda path: _spectrum(path, measures),
    }
    if measures['circle']['share_kept'] is not None:
        jobs['circle.png'] = lambda path: _circle(
            path, name, images, groups, names
        )
    with_images = [c for c in clusterings if c.assignments is not None]
    if with_images:
        jobs['cluster_sizes.png'] = lambda path: _sizes(path, with_images)
        jobs['montage.png'] = lambda path: _montage(
            path, source, images, with_images
        )
    # One point has no map.
    if tsne and measures['spaces']['feature']['spectrum'][0] > 0:
        jobs['tsne.png'] = lambda path: _tsne(
            path, name, images, groups, names, by, seed
        )
    pictures = [
        job(folder / file)
        for file, job in progress(list(jobs.items()), 'Drawing')
    ]
    return [picture for picture in pictures if picture is not None]


def _groups(source: ImageSource, clusterings: list[Clustering]) -> tuple:
    """What colours mean: classes, or else the coarsest prototypes."""
    if source.labels is not None:
        return source.labels.numpy(), source.classes, 'class'
    for clustering in clusterings:
        if clustering.assignments is not None:
            names = [str(i) for i in range(len(clustering.prototypes))]
            return clustering.assignments.numpy(), names, clustering.name
    return None, None, None


def _circle(path, name, images, groups, names) -> Picture:
    from pauc_mm.visualization import circle_projection, plot_circles

    points, kept = circle_projection(images.vectors.numpy())
    plot_circles({name: points}, path, labels=groups, class_names=names)
    how = (
        'Embeddings have two dimensions: nothing is hidden.'
        if images.vectors.shape[1] == 2
        else f'The two leading singular directions hold {100 * kept:.0f}% of '
        'the squared lengths; the less that is, the less this picture says '
        'about voids on the sphere.'
    )
    return Picture(
        path,
        'On the unit circle',
        'Embeddings projected onto the unit circle, and their density along '
        f'it, as in figures 2 and 3 of PAUC. {how}',
    )


def _unique(path, measures) -> Picture:
    from pauc_mm.visualization import plot_unique_curves

    curves = {
        c['name']: (c['unique_curve']['epsilons'], c['unique_curve']['shares'])
        for c in measures['clusterings'][:MAX_CURVES]
    }
    plot_unique_curves(curves, path, references=True)
    return Picture(
        path,
        'Unique prototypes',
        'Share of prototypes that are no copy of another, against the cosine '
        'distance below which one counts as a copy (figure 3 of Why '
        'Prototypes Collapse). A curve that is low at 0.025 is a partial '
        'prototype collapse; every curve falls in the end.',
    )


def _spectrum(path, measures) -> Picture | None:
    from pauc_mm.visualization import plot_spectra

    # One point has no spectrum.
    spaces = {
        name: space
        for name, space in measures['spaces'].items()
        if space['spectrum'][0] > 0
    }
    if not spaces:
        return None
    plot_spectra(
        {name: space['spectrum'] for name, space in spaces.items()},
        path,
        ranks={name: s['effective_rank'] for name, s in spaces.items()},
    )
    return Picture(
        path,
        'Spectrum',
        'Singular values of the centred, l2-normalised vectors, relative to '
        'the largest. A curve that drops by orders of magnitude early is a '
        'dimensional collapse.',
    )


def _sizes(path, clusterings: list[Clustering]) -> Picture:
    from pauc_mm.visualization import plot_cluster_sizes

    plot_cluster_sizes(
        {c.name: c.sizes.tolist() for c in clusterings[:MAX_CURVES]}, path
    )
    return Picture(
        path,
        'Sizes of prototypes',
        'Images of each prototype (figure 3a of PCL). Healthy is one hump '
        'around the mean; prototypes without images, and one with nearly '
        'all, are not.',
    )


def _montage(path, source, images, clusterings) -> Picture:
    from pauc_mm.visualization import ClusterRow, plot_cluster_montage

    fine = clusterings[-1]
    coarse = clusterings[0] if len(clusterings) > 1 else None
    similarity = (images.vectors * fine.prototypes[fine.assignments]).sum(1)
    rows = []
    for prototype in _chosen(fine, coarse):
        members = torch.nonzero(fine.assignments == prototype).flatten()
        order = similarity[members].argsort(descending=True)
        nearest = members[order[:MONTAGE_IMAGES]].tolist()
        more, parent = [], ''
        if coarse is not None:
            chosen = int(coarse.assignments[members].mode().values)
            parent = f'coarse prototype {chosen} ({coarse.name})'
            others = torch.nonzero(
                (coarse.assignments == chosen)
                & (fine.assignments != prototype)
            ).flatten()
            step = max(1, len(others) // MONTAGE_IMAGES)
            more = others[::step][:MONTAGE_IMAGES].tolist()
        rows.append(
            ClusterRow(
                f'{prototype}: {len(members)} images',
                [_pixels(source.dataset, i, source.bgr) for i in nearest],
                [_pixels(source.dataset, i, source.bgr) for i in more],
                parent,
            )
        )
    plot_cluster_montage(rows, path)
    right = (
        f' Right: other images of the coarse prototype ({coarse.name}) that '
        'most of them belong to.'
        if coarse is not None
        else ''
    )
    return Picture(
        path,
        'Nearest images',
        f'Left: the images nearest to some of the prototypes of {fine.name}, '
        f'with their number and size.{right} (Figure 6 of PCL.) A row of one '
        'thing is a prototype that means something.',
    )


def _chosen(fine: Clustering, coarse: Clustering | None) -> list[int]:
    """Prototypes over the whole range of sizes, by coarse prototype."""
    sizes = fine.sizes
    order = sizes.argsort(descending=True)
    order = order[sizes[order] > 0]
    picks = np.linspace(0, len(order) - 1, MONTAGE_ROWS).round().astype(int)
    chosen = [int(order[i]) for i in np.unique(picks)]
    if coarse is None:
        return chosen

    def parent(prototype: int) -> int:
        members = coarse.assignments[fine.assignments == prototype]
        return int(members.mode().values)

    return sorted(chosen, key=lambda p: (parent(p), p))


def _pixels(dataset, index: int, bgr: bool) -> np.ndarray:
    """An image as the network gets it, (H, W, 3), uint8, RGB."""
    image = dataset[index]['inputs']
    if isinstance(image, (list, tuple)):
        image = image[0]
    image = image.permute(1, 2, 0).numpy()
    if image.shape[2] == 1:
        image = image.repeat(3, axis=2)
    if bgr:
        image = image[..., ::-1]
    return np.ascontiguousarray(image).astype(np.uint8)


def _tsne(path, name, images, groups, names, by, seed) -> Picture:
    from pauc_mm.visualization import plot_embedding_maps, tsne_map

    rows = np.arange(len(images.features))
    if len(rows) > MAX_TSNE:
        rng = np.random.default_rng(seed)
        rows = np.sort(rng.choice(rows, MAX_TSNE, replace=False))
    # As in the paper: of the backbone's features.
    features = torch.nn.functional.normalize(images.features, dim=1)
    places = tsne_map(features.numpy()[rows], seed)
    plot_embedding_maps(
        {name: places},
        None if groups is None else groups[rows],
        names,
        path,
        f'Features of {len(rows)} images (t-SNE)',
    )
    coloured = f', coloured by {by}' if by else ''
    return Picture(
        path,
        'Map',
        f"t-SNE of the backbone's features{coloured} (figure 4 of PAUC). "
        'Distances between groups and their sizes on the page mean nothing; '
        'that there are groups does.',
    )
