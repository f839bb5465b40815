# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""All measures of one checkpoint on one set of images."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pauc_mm.embedding.embedded_images import EmbeddedImages
from pauc_mm.evaluation.functional import (
    adjusted_mutual_information,
    alignment,
    cluster_entropy,
    feature_label_information,
    group_label_information,
    intra_group_variance,
    knn_predict,
    nemd,
    singular_values,
    uniformity,
    unique_curve,
    unique_prototypes,
    void_fraction,
)
from pauc_mm.evaluation.functional.effective_rank import rank_of_spectrum
from pauc_mm.utils import progress
from pauc_mm.visualization import circle_projection

from .clusterings import IMAGES_A_PROTOTYPE, Clustering

# Of images, for measures that compare all pairs.
MAX_SAMPLES = 10_000
# Prototypes that the whole curve compares; the table compares all.
MAX_CURVE = 20_000
# Fewer dimensions, or prototypes, have no range that is healthy for all.
MIN_DIMENSION = 4
MIN_PROTOTYPES = 4
# Samples an arc of the circle should get for the void fraction.
_PER_ARC = 20
EPSILONS = (0.025, 0.1, 0.25, 0.5)


def measure(
    images: EmbeddedImages,
    clusterings: list[Clustering],
    labels: Tensor | None = None,
    seed: int = 0,
    epsilon: float = EPSILONS[0],
) -> dict:
    """Measure everything that can be measured.

    Args:
        images (EmbeddedImages): N embedded images.
        clusterings (list[Clustering]): See :func:`find_clusterings`.
        labels (Tensor, optional): Class of each image, shape (N,), int64.
        seed (int): Of all draws. Defaults to 0.
        epsilon (float): Cosine distance below which a prototype is a copy,
            for the headline. Defaults to 0.025.

    Returns:
        dict: ``num_images``, ``spaces`` (by space), ``clusterings`` (list),
        ``circle``, and, with labels, ``labels``; plain numbers and lists,
        ready for JSON.
    """
    spaces = {'feature': images.features}
    if images.embeddings is not None:
        spaces['embedding'] = images.embeddings
    jobs = [('space', name) for name in spaces]
    jobs += [('clustering', c) for c in clusterings] + [('circle', None)]
    jobs += [('labels', None)] if labels is not None else []
    result: dict = dict(
        num_images=len(images.features), spaces={}, clusterings=[]
    )
    for kind, what in progress(jobs, 'Measuring'):
        if kind == 'space':
            result['spaces'][what] = _space(spaces[what], seed)
        elif kind == 'clustering':
            result['clusterings'].append(
                _clustering(images.vectors, what, labels, seed, epsilon)
            )
        elif kind == 'circle':
            result['circle'] = _circle(images.vectors)
        else:
            result['labels'] = _labels(images, spaces, labels, seed)
    if images.views is not None:
        result['spaces'][images.space]['alignment'] = alignment(*images.views)
    return result


def _space(vectors: Tensor, seed: int) -> dict:
    unit = F.normalize(vectors, dim=1)
    sampling = dict(max_samples=MAX_SAMPLES, seed=seed)
    values = singular_values(unit, **sampling)
    variance = values.square()
    total = variance.sum().item()
    rank = rank_of_spectrum(values)
    return dict(
        dimension=unit.shape[1],
        uniformity=uniformity(unit, **sampling),
        effective_rank=rank,
        # All axes alike gives 1; as many as there are dimensions or images.
        rank_share=rank / min(unit.shape[1], len(unit) - 1),
        total_variance=total,
        top_axis_share=variance[0].item() / total if total else 1.0,
        spectrum=values.tolist(),
    )


def _clustering(
    vectors: Tensor,
    clustering: Clustering,
    labels: Tensor | None,
    seed: int,
    epsilon: float,
) -> dict:
    prototypes, groups = clustering.prototypes, clustering.assignments
    curve = unique_curve(prototypes, max_prototypes=MAX_CURVE, seed=seed)
    unique = unique_prototypes(prototypes, sorted({*EPSILONS, epsilon}))
    result = dict(
        name=clustering.name,
        own=clustering.own,
        num_prototypes=len(prototypes),
        dimension=prototypes.shape[1],
        unique={f'{eps:g}': share for eps, share in unique.items()},
        unique_share=unique[EPSILONS[0]],
        unique_at_epsilon=unique[epsilon],
        epsilon=epsilon,
        unique_curve=dict(vars(curve)),
    )
    if groups is None:
        return result
    sizes = clustering.sizes
    taken = sizes[sizes > 0]
    result.update(
        sizes=sizes.tolist(),
        empty_share=(sizes == 0).double().mean().item(),
        largest_share=sizes.max().item() / len(vectors),
        median_size=float(np.median(taken)),
        size_entropy=cluster_entropy(sizes),
        # Too few images leave prototypes empty that are in use.
        sizes_can_be_judged=len(vectors) >= IMAGES_A_PROTOTYPE * len(sizes),
        intra_variance=_variance(vectors, groups, sizes),
        nemd=_nemd(vectors, groups, seed),
    )
    if labels is not None:
        result.update(
            adjusted_mutual_information=adjusted_mutual_information(
                groups, labels
            ),
            label_information=group_label_information(groups, labels),
        )
    return result


def _variance(vectors: Tensor, groups: Tensor, sizes: Tensor) -> float | None:
    """Of groups of two or more: one image says nothing of coagulation."""
    groups = torch.where(sizes[groups] > 1, groups, -1)
    if not (groups >= 0).any():
        return None
    return intra_group_variance(vectors, groups)


def _nemd(vectors: Tensor, groups: Tensor, seed: int) -> dict | None:
    """None if only one group has members: there is nothing to compare."""
    if len(groups.unique()) < 2:
        return None
    return dict(vars(nemd(vectors, groups, seed=seed)))


def _circle(vectors: Tensor) -> dict:
    if len(vectors) > MAX_SAMPLES:  # evenly chosen: the order may mean much
        vectors = vectors[:: -(-len(vectors) // MAX_SAMPLES)]
    try:
        points, kept = circle_projection(vectors.numpy())
    except ValueError as error:  # some lie at right angles to the plane
        return dict(
            void_fraction=None, arcs=0, share_kept=None, why=str(error)
        )
    bins = int(min(100, len(points) // _PER_ARC))
    void = void_fraction(points, bins=bins) if bins >= 10 else None
    return dict(void_fraction=void, arcs=bins, share_kept=float(kept))


def _labels(
    images: EmbeddedImages, spaces: dict, labels: Tensor, seed: int
) -> dict:
    rng = np.random.default_rng(seed)
    rows = torch.arange(len(labels))
    if len(rows) > MAX_SAMPLES:
        rows = torch.from_numpy(
            np.sort(rng.choice(len(rows), MAX_SAMPLES, replace=False))
        )
    counts = torch.bincount(labels)
    result: dict = dict(
        num_classes=int((counts > 0).sum()),
        majority_share=counts.max().item() / len(labels),
        entropy=torch.special.entr(counts / len(labels)).sum().item(),
        knn_samples=len(rows),
        knn={},
        intra_variance=intra_group_variance(images.vectors, labels),
        nemd=_nemd(images.vectors, labels, seed),
        label_information=_information(images.vectors, labels, seed),
    )
    pixels = images.pixels.float()
    if pixels.norm(dim=1).min() > 0:  # an all-black image has no direction
        spaces = {**spaces, 'pixels': pixels}
    for name, vectors in spaces.items():
        result['knn'][name] = _knn(vectors[rows], labels[rows])
    return result


def _information(vectors: Tensor, labels: Tensor, seed: int) -> float | None:
    """None where nearly all classes have one image only."""
    if (torch.bincount(labels) > 1).sum() < 2:
        return None
    return feature_label_information(
        vectors,
        labels,
        max_samples=None if len(labels) <= MAX_SAMPLES else MAX_SAMPLES,
        seed=seed,
    )


def _knn(vectors: Tensor, labels: Tensor) -> dict[str, float]:
    """Leave-one-out accuracy with 20 neighbours, and 200 if there are many."""
    ks = [20, 200] if len(vectors) >= 2000 else [20]
    predictions = knn_predict(
        vectors,
        vectors,
        labels,
        num_classes=int(labels.max()) + 1,
        k=ks,
        exclude_self=True,
    )
    return {
        f'k{k}': (predictions[k] == labels).double().mean().item() for k in ks
    }


def headline(measures: dict) -> dict[str, float]:
    """The figures that a verdict and a comparison are made of.

    Args:
        measures (dict): From :func:`measure`.

    Returns:
        dict[str, float]: By key of :data:`CRITERIA`; of several sets of
        prototypes the largest that has images, the model's own first. What
        could not be measured is left out.
    """
    space = 'embedding' if 'embedding' in measures['spaces'] else 'feature'
    figures = dict(measures['spaces'][space])
    wide = figures['dimension'] >= MIN_DIMENSION
    void = 'void_fraction' if figures['dimension'] == 2 else 'void_projected'
    even = 'uniformity' if wide and space == 'embedding' else 'weak_uniformity'
    found = {
        even: figures['uniformity'],
        'zero_share': measures.get('zero_share'),
        'rank_share': figures['rank_share'],
        'effective_rank': figures['effective_rank'],
        'feature_rank': measures['spaces']['feature']['effective_rank'],
        'top_axis_share': figures['top_axis_share'] if wide else None,
        'alignment': figures.get('alignment'),
        void: measures['circle']['void_fraction'],
    }
    chosen = headline_clustering(measures)
    if chosen['epsilon'] != EPSILONS[0]:
        found['unique_at_epsilon'] = chosen['unique_at_epsilon']
    for key in (
        'unique_share',
        'adjusted_mutual_information',
        'label_information',
    ):
        found[key] = chosen.get(key)
    if chosen.get('sizes_can_be_judged'):
        for key in ('empty_share', 'size_entropy', 'largest_share'):
            if chosen['num_prototypes'] >= MIN_PROTOTYPES:
                found[key] = chosen[key]
        if wide:
            found['intra_variance'] = chosen['intra_variance']
    if chosen.get('nemd'):
        found['nemd'] = chosen['nemd']['value']
    own = [c['unique_share'] for c in measures['clusterings'] if c['own']]
    if own:  # also of those that no image can be compared with
        found['unique_share'] = min(own)
    if 'labels' in measures:
        knn = measures['labels']['knn']
        found['knn'] = knn['feature']['k20']
        if 'pixels' in knn:
            found['knn_above_pixels'] = found['knn'] - knn['pixels']['k20']
        found['feature_label_information'] = measures['labels'][
            'label_information'
        ]
    return {key: v for key, v in found.items() if v is not None}


def headline_clustering(measures: dict) -> dict:
    """The set of prototypes that a verdict is about.

    Args:
        measures (dict): From :func:`measure`.

    Returns:
        dict: The model's own set before k-means', one with images before one
        without, one whose sizes can be judged before others, then the
        largest.
    """
    return max(
        measures['clusterings'],
        key=lambda c: (
            'sizes' in c,
            c['own'],
            c.get('sizes_can_be_judged', False),
            c['num_prototypes'],
        ),
    )
