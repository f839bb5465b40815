# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measure one checkpoint on one set of images."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pauc_mm.embedding.embedded_images import EmbeddedImages
from pauc_mm.evaluation.functional import (
    CURVE_EPSILONS,
    adjusted_mutual_information,
    alignment,
    clid,
    cluster_entropy,
    feature_label_information,
    group_label_information,
    intra_group_variance,
    knn_predict,
    koleo,
    lidar,
    nemd,
    singular_values,
    uniformity,
    unique_prototypes,
    view_agreement,
    void_fraction,
)
from pauc_mm.evaluation.functional.checks import subsample
from pauc_mm.evaluation.functional.clid import MIN_POINTS
from pauc_mm.evaluation.functional.spectral import (
    EPSILON,
    alpha_of_spectrum,
    rank_of_spectrum,
    sum_by_largest,
)
from pauc_mm.evaluation.metrics.clusters import cluster
from pauc_mm.utils import progress
from pauc_mm.visualization import circle_projection

from .clusterings import IMAGES_A_PROTOTYPE, Clustering

# Images compared by measures of all pairs.
MAX_SAMPLES = 10_000
# And by those of nearest neighbours.
MAX_NEIGHBOURS = 5_000
# Prototypes compared by KoLeo.
MAX_PROTOTYPES = 20_000
# With fewer dimensions or prototypes the healthy ranges do not hold.
MIN_DIMENSION = 4
MIN_PROTOTYPES = 4
EPSILONS = (0.025, 0.1, 0.25, 0.5)
# Of a space, with no healthy range.
LABEL_FREE = (
    *('alignment', 'rankme', 'stable_rank', 'nesum', 'alpha_req', 'lidar'),
    *('koleo', 'cluster_learnability', 'intrinsic_dimension'),
)


def measure(
    images: EmbeddedImages,
    clusterings: list[Clustering],
    labels: Tensor | None = None,
    seed: int = 0,
    epsilon: float = EPSILONS[0],
) -> dict:
    """Compute all measures that the images and prototypes allow.

    ``labels`` are the classes of the N images, (N,), int64, ``seed`` is that
    of all draws, and ``epsilon`` the cosine distance below which a prototype
    is a copy, for the headline.

    Returns:
        dict: ``num_images``, ``spaces`` (by space), ``clusterings`` (list),
        ``circle``, and, with labels, ``labels``; plain numbers and lists,
        ready for JSON.
    """
    spaces = {'feature': images.features}
    if images.embeddings is not None:
        spaces['embedding'] = images.embeddings
    result = dict(
        num_images=len(images.features),
        spaces={
            name: measure_space(vectors, seed)
            for name, vectors in progress(spaces.items(), 'Measuring spaces')
        },
        clusterings=[
            _clustering(images.vectors, clustering, labels, seed, epsilon)
            for clustering in progress(clusterings, 'Measuring prototypes')
        ],
        circle=_circle(images.vectors),
    )
    if labels is not None:
        result['labels'] = _labels(images, spaces, labels, seed)
    if images.views is not None:
        views = images.views.transpose(0, 1)
        result['spaces'][images.space].update(
            alignment=alignment(*images.views),
            lidar=lidar(views) if len(views) > 1 else None,
        )
        for values, clustering in zip(result['clusterings'], clusterings):
            if clustering.assignments is not None:
                values['view_agreement'] = view_agreement(
                    *images.views, clustering.prototypes
                )
    return result


def measure_space(vectors: Tensor, seed: int = 0) -> dict:
    """Measure embeddings (N, D) without labels, after l2 normalisation.

    Returns:
        dict: See :mod:`pauc_mm.evaluation.functional`. None is what is not
        defined: ``alpha_req`` of fewer than 13 axes, and CLID's parts, of
        k-means with min(100, N / 20) clusters, of fewer than 20 points.
    """
    unit = F.normalize(vectors, dim=1)
    sampling = dict(max_samples=MAX_SAMPLES, seed=seed)
    values = singular_values(unit, **sampling)
    raw = singular_values(unit, center=False, **sampling)
    some = subsample(unit, MAX_NEIGHBOURS, seed)
    found = None, None
    if len(some.unique(dim=0)) >= MIN_POINTS:
        found = clid(some, cluster(some, None, seed, 'vectors'))
    variance = values.square()
    total = variance.sum().item()
    rank = rank_of_spectrum(values)
    return dict(
        dimension=unit.shape[1],
        uniformity=uniformity(unit, **sampling),
        effective_rank=rank,
        # 1 if all axes are alike; N images span at most N - 1 axes.
        rank_share=rank / min(unit.shape[1], len(unit) - 1),
        total_variance=total,
        top_axis_share=variance[0].item() / total if total else 1.0,
        rankme=rank_of_spectrum(raw, EPSILON),
        stable_rank=sum_by_largest(raw),
        nesum=sum_by_largest(values),
        alpha_req=alpha_of_spectrum(values),
        koleo=koleo(some),
        cluster_learnability=found[0],
        intrinsic_dimension=found[1],
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
    unique = unique_prototypes(prototypes, sorted({*CURVE_EPSILONS, epsilon}))
    result = dict(
        name=clustering.name,
        own=clustering.own,
        num_prototypes=len(prototypes),
        dimension=prototypes.shape[1],
        unique={f'{e:g}': unique[e] for e in sorted({*EPSILONS, epsilon})},
        unique_share=unique[EPSILONS[0]],
        unique_at_epsilon=unique[epsilon],
        epsilon=epsilon,
        unique_curve=dict(epsilons=list(unique), shares=list(unique.values())),
        prototype_koleo=None,
    )
    if len(prototypes) > 1:
        result['prototype_koleo'] = koleo(
            subsample(prototypes, MAX_PROTOTYPES, seed), 'prototypes'
        )
    if groups is None:
        return result
    sizes = clustering.sizes
    in_pairs = torch.where(sizes[groups] > 1, groups, -1)
    result['intra_variance'] = None
    if (in_pairs >= 0).any():
        result['intra_variance'] = intra_group_variance(vectors, in_pairs)
    result.update(
        sizes=sizes.tolist(),
        empty_share=(sizes == 0).double().mean().item(),
        largest_share=sizes.max().item() / len(vectors),
        median_size=float(np.median(sizes[sizes > 0])),
        size_entropy=cluster_entropy(sizes),
        # With too few images a prototype in use is empty by chance.
        sizes_can_be_judged=len(vectors) >= IMAGES_A_PROTOTYPE * len(sizes),
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


def _nemd(vectors: Tensor, groups: Tensor, seed: int) -> dict | None:
    """Compute NEMD, None if fewer than two groups have members."""
    if len(groups.unique()) < 2:
        return None
    return dict(vars(nemd(vectors, groups, seed=seed)))


def _circle(vectors: Tensor) -> dict:
    if len(vectors) > MAX_SAMPLES:  # evenly, as the order may be by class
        vectors = vectors[:: -(-len(vectors) // MAX_SAMPLES)]
    try:
        points, kept = circle_projection(vectors.numpy())
    except ValueError as error:  # some are orthogonal to the plane
        return dict(
            void_fraction=None, arcs=0, share_kept=None, why=str(error)
        )
    bins = min(100, len(points) // 20)  # 20 samples an arc
    void = void_fraction(points, bins=bins) if bins >= 10 else None
    return dict(void_fraction=void, arcs=bins, share_kept=float(kept))


def _labels(
    images: EmbeddedImages, spaces: dict, labels: Tensor, seed: int
) -> dict:
    rows = subsample(torch.arange(len(labels)), MAX_SAMPLES, seed)
    counts = torch.bincount(labels)
    information = None  # if nearly all classes have one image
    if (counts > 1).sum() > 1:
        information = feature_label_information(
            images.vectors, labels, max_samples=MAX_SAMPLES, seed=seed
        )
    result: dict = dict(
        num_classes=int((counts > 0).sum()),
        majority_share=counts.max().item() / len(labels),
        entropy=torch.special.entr(counts / len(labels)).sum().item(),
        knn_samples=len(rows),
        knn={},
        intra_variance=intra_group_variance(images.vectors, labels),
        nemd=_nemd(images.vectors, labels, seed),
        label_information=information,
    )
    pixels = images.pixels.float()
    if pixels.norm(dim=1).min() > 0:  # an all-black image has no direction
        spaces = {**spaces, 'pixels': pixels}
    for name, vectors in spaces.items():
        result['knn'][name] = _knn(vectors[rows], labels[rows])
    return result


def _knn(vectors: Tensor, labels: Tensor) -> dict[str, float]:
    """Leave-one-out accuracy with 20 neighbours, and 200 of many images."""
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
    """Select the values of :func:`measure` that a verdict and a table use.

    By key of :data:`~.criteria.CRITERIA`, without those that could not be
    measured; see :func:`headline_clustering` for the prototypes.
    """
    space = 'embedding' if 'embedding' in measures['spaces'] else 'feature'
    own = measures['spaces'][space]
    wide = own['dimension'] >= MIN_DIMENSION
    void = 'void_fraction' if own['dimension'] == 2 else 'void_projected'
    even = 'uniformity' if wide and space == 'embedding' else 'weak_uniformity'
    values = {
        even: own['uniformity'],
        'zero_share': measures.get('zero_share'),
        'rank_share': own['rank_share'],
        'effective_rank': own['effective_rank'],
        'feature_rank': measures['spaces']['feature']['effective_rank'],
        'top_axis_share': own['top_axis_share'] if wide else None,
        void: measures['circle']['void_fraction'],
        **{key: own.get(key) for key in LABEL_FREE},
    }
    chosen = headline_clustering(measures)
    keys = ['unique_share', 'adjusted_mutual_information', 'label_information']
    keys += ['prototype_koleo', 'view_agreement']
    if chosen['epsilon'] != EPSILONS[0]:
        keys.insert(0, 'unique_at_epsilon')
    if chosen.get('sizes_can_be_judged'):
        if chosen['num_prototypes'] >= MIN_PROTOTYPES:
            keys += ['empty_share', 'size_entropy', 'largest_share']
        keys += ['intra_variance'] * wide
    values.update((key, chosen.get(key)) for key in keys)
    if chosen.get('nemd'):
        values['nemd'] = chosen['nemd']['value']
    shares = [c['unique_share'] for c in measures['clusterings'] if c['own']]
    if shares:  # includes sets without images
        values['unique_share'] = min(shares)
    if 'labels' in measures:
        knn = measures['labels']['knn']
        values['knn'] = knn['feature']['k20']
        if 'pixels' in knn:
            values['knn_above_pixels'] = values['knn'] - knn['pixels']['k20']
        values['feature_label_information'] = measures['labels'][
            'label_information'
        ]
    return {key: v for key, v in values.items() if v is not None}


def headline_clustering(measures: dict) -> dict:
    """Select the set of prototypes of :func:`measure` for the verdict.

    It is the largest set, but one with images before one without, the model's
    own before those of k-means, and one whose sizes can be judged before
    others.
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
