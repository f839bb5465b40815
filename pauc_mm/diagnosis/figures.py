# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Draw the pictures of a report."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from pauc_mm.embedding.embedded_images import EmbeddedImages
from pauc_mm.embedding.images import ImageSource
from pauc_mm.evaluation.functional.checks import subsample
from pauc_mm.utils import progress
from pauc_mm.utils.files import printable
from pauc_mm.visualization import (
    ClusterRow,
    circle_projection,
    plot_circles,
    plot_cluster_montage,
    plot_cluster_sizes,
    plot_embedding_maps,
    plot_spectra,
    plot_unique_curves,
    tsne_map,
)

from .clusterings import Clustering

MONTAGE_IMAGES = 8
MAX_CURVES = 5


def draw_all(
    folder: Path,
    name: str,
    source: ImageSource,
    images: EmbeddedImages,
    clusterings: list[Clustering],
    measures: dict,
    tsne: bool = True,
    seed: int = 0,
) -> list[dict]:
    """Draw every picture that the data allow, into a folder that is made.

    ``name`` is that of the checkpoint, for titles, and ``measures`` are from
    :func:`~.measures.measure`. The t-SNE map is the slowest. The entries, see
    :func:`picture`, are in the order of the report.
    """
    folder.mkdir(parents=True, exist_ok=True)
    groups = _groups(source, clusterings)
    assigned = [c for c in clusterings if c.assignments is not None]
    spaces = {
        space: values
        for space, values in measures['spaces'].items()
        if values['spectrum'][0] > 0  # a single point has no spectrum
    }
    jobs = [(_unique, measures)]
    if spaces:
        jobs.append((_spectrum, spaces))
    if measures['circle']['share_kept'] is not None:
        jobs.append((_circle, name, images, groups))
    if assigned:
        jobs.append((_sizes, assigned))
        jobs.append((_montage, source, images, assigned))
    if tsne and 'feature' in spaces:
        jobs.append((_tsne, name, images, groups, seed))
    return [job(folder, *args) for job, *args in progress(jobs, 'Drawing')]


class _Groups(NamedTuple):
    """Colours of a picture: classes, or else the coarsest prototypes."""

    labels: np.ndarray | None = None
    names: list[str] | None = None
    by: str = ''


def _groups(source: ImageSource, clusterings: list[Clustering]) -> _Groups:
    if source.labels is not None:
        names = source.classes and [printable(n) for n in source.classes]
        return _Groups(source.labels.numpy(), names, 'class')
    for c in clusterings:
        if c.assignments is not None:
            names = [str(i) for i in range(len(c.prototypes))]
            return _Groups(c.assignments.numpy(), names, c.name)
    return _Groups()


def picture(path: Path, title: str, caption: str) -> dict:
    """Return the entry of a picture in the JSON of a report."""
    return dict(file=path.name, title=title, caption=caption)


def _circle(folder, name, images, groups: _Groups) -> dict:
    points, kept = circle_projection(images.vectors.numpy())
    path = folder / 'circle.png'
    plot_circles({name: points}, path, groups.labels, groups.names)
    return picture(
        path,
        'On the unit circle',
        'Embeddings projected onto the unit circle, and their density along '
        'it, as in figures 2 and 3 of PAUC. The two leading singular '
        f'directions hold {100 * kept:.0f}% of the squared lengths; the lower '
        'this share, the less the picture says about voids on the sphere.',
    )


def _unique(folder, measures) -> dict:
    curves = {
        c['name']: (c['unique_curve']['epsilons'], c['unique_curve']['shares'])
        for c in measures['clusterings'][:MAX_CURVES]
    }
    path = folder / 'unique_prototypes.png'
    plot_unique_curves(curves, path, references=True)
    return picture(
        path,
        'Unique prototypes',
        'Share of prototypes that are no copy of another, against the cosine '
        'distance below which one counts as a copy (figure 3 of Why '
        'Prototypes Collapse). A curve that is low at 0.025 is a partial '
        'prototype collapse; every curve falls in the end.',
    )


def _spectrum(folder, spaces: dict) -> dict:
    path = plot_spectra(
        {name: space['spectrum'] for name, space in spaces.items()},
        folder / 'spectrum.png',
        ranks={name: s['effective_rank'] for name, s in spaces.items()},
    )
    return picture(
        path,
        'Spectrum',
        'Singular values of the centred, l2-normalised vectors, relative to '
        'the largest. A curve that drops by orders of magnitude early is a '
        'dimensional collapse.',
    )


def _sizes(folder, clusterings: list[Clustering]) -> dict:
    sizes = {c.name: c.sizes.tolist() for c in clusterings[:MAX_CURVES]}
    return picture(
        plot_cluster_sizes(sizes, folder / 'cluster_sizes.png'),
        'Sizes of prototypes',
        'Images of each prototype (figure 3a of PCL). One hump around the '
        'mean is healthy; many empty prototypes, or one with nearly all '
        'images, are not.',
    )


def _montage(folder, source, images, clusterings) -> dict:
    fine = clusterings[-1]
    coarse = clusterings[0] if len(clusterings) > 1 else None
    similarity = (images.vectors * fine.prototypes[fine.assignments]).sum(1)

    def pixels(indices) -> list[np.ndarray]:
        return [_pixels(source.dataset, int(i), source.bgr) for i in indices]

    rows = []
    for prototype in _chosen(fine, coarse):
        members = torch.nonzero(fine.assignments == prototype).flatten()
        order = similarity[members].argsort(descending=True)
        others, parent_name = members[:0], ''
        if coarse is not None:
            parent = _parent(prototype, fine, coarse)
            parent_name = f'coarse prototype {parent} ({coarse.name})'
            others = torch.nonzero(
                (coarse.assignments == parent)
                & (fine.assignments != prototype)
            ).flatten()
        step = max(1, len(others) // MONTAGE_IMAGES)
        rows.append(
            ClusterRow(
                f'{prototype}: {len(members)} images',
                pixels(members[order[:MONTAGE_IMAGES]]),
                pixels(others[::step][:MONTAGE_IMAGES]),
                parent_name,
            )
        )
    right = ''
    if coarse is not None:
        right = f' Right: others of their coarse prototype ({coarse.name}).'
    return picture(
        plot_cluster_montage(rows, folder / 'montage.png'),
        'Nearest images',
        f'Left: the images nearest to some of the prototypes of {fine.name}, '
        f'with their index and size.{right} (Figure 6 of PCL.) Images of one '
        'kind in a row show a meaningful prototype.',
    )


def _parent(prototype: int, fine: Clustering, coarse: Clustering) -> int:
    """Return the coarse prototype of most members of a fine one."""
    members = coarse.assignments[fine.assignments == prototype]
    return int(members.mode().values)


def _chosen(fine: Clustering, coarse: Clustering | None) -> list[int]:
    """Select prototypes over the whole range of sizes, by coarse prototype."""
    sizes = fine.sizes
    order = sizes.argsort(descending=True)
    order = order[sizes[order] > 0]
    picks = np.linspace(0, len(order) - 1, 12).round().astype(int)
    chosen = [int(order[i]) for i in np.unique(picks)]
    if coarse is None:
        return chosen
    return sorted(chosen, key=lambda p: (_parent(p, fine, coarse), p))


def _pixels(dataset, index: int, bgr: bool) -> np.ndarray:
    """Return an image as the network gets it, (H, W, 3), uint8, RGB."""
    image = dataset[index]['inputs']
    if isinstance(image, (list, tuple)):
        image = image[0]
    image = image.expand(3, -1, -1).permute(1, 2, 0).numpy()
    return np.ascontiguousarray(image[..., ::-1] if bgr else image, np.uint8)


def _tsne(folder, name, images, groups: _Groups, seed) -> dict:
    indices = torch.arange(len(images.features))
    rows = subsample(indices, 2000, seed).numpy()  # more takes minutes
    # PAUC, too, maps the features of the backbone.
    features = F.normalize(images.features, dim=1).numpy()[rows]
    path = plot_embedding_maps(
        {name: tsne_map(features, seed)},
        None if groups.labels is None else groups.labels[rows],
        groups.names,
        folder / 'tsne.png',
        f'Features of {len(rows)} images (t-SNE)',
    )
    coloured = f', coloured by {groups.by}' if groups.by else ''
    return picture(
        path,
        'Map',
        f"t-SNE of the backbone's features{coloured} (figure 4 of PAUC). "
        'That groups appear is meaningful; their sizes and distances are not.',
    )
