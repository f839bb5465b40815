# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Information that features or groups have about labels."""

import torch

from pauc_mm.utils.require import require

from .checks import ArrayLike, as_groups, as_unit_vectors, subsample

# Cosines of float32 vectors that agree to this are equal.
_DECIMALS = 12


def adjusted_mutual_information(groups: ArrayLike, labels: ArrayLike) -> float:
    """Measure the agreement of groups with labels, corrected for chance.

    scikit-learn's ``adjusted_mutual_info_score`` (arithmetic mean), as in
    table 7 of `PCL <https://arxiv.org/abs/2005.04966>`_. Unlike the mutual
    information it does not grow with the number of groups. Pure groups that
    are finer than the labels still stay below 1.

    Args:
        groups (Tensor or ndarray): Shape (N,), integers.
        labels (Tensor or ndarray): Shape (N,), integers. Samples that are
            negative in either are ignored.

    Returns:
        float: About 0 for independent groups (it can be slightly negative),
        1 for the same partition, 0 if everything is in one group.

    Raises:
        ValueError: If no sample or a single class is left, or the shapes
            differ.
        TypeError: If the numbers are not integers.
    """
    metrics = require('sklearn.metrics', 'scikit-learn', 'the AMI')
    groups, labels = _both(groups, labels)
    return float(metrics.adjusted_mutual_info_score(labels, groups))


def group_label_information(groups: ArrayLike, labels: ArrayLike) -> float:
    """Measure the mutual information of discrete groups and labels.

    scikit-learn's ``mutual_info_score``, in nats; figure 3b of `PCL
    <https://arxiv.org/abs/2005.04966>`_ if the groups are the samples'
    prototypes. It reaches its bound, the entropy of the labels, with groups
    of one sample: compare equal numbers of groups, or see
    :func:`adjusted_mutual_information`.

    Args and errors are those of :func:`adjusted_mutual_information`.

    Returns:
        float: Nats, from 0 to the entropy of the labels.
    """
    metrics = require('sklearn.metrics', 'scikit-learn', 'the information')
    groups, labels = _both(groups, labels)
    return float(metrics.mutual_info_score(labels, groups))


def feature_label_information(
    embeddings: ArrayLike,
    labels: ArrayLike,
    k: int = 3,
    max_samples: int | None = 10000,
    seed: int = 0,
    chunk: int = 512,
) -> float:
    r"""Estimate the mutual information of embeddings and labels.

    .. math::
        \psi(N) - \langle \psi(N_x) \rangle + \psi(k)
        - \langle \psi(m) \rangle

    (`Ross, 2014 <https://doi.org/10.1371/journal.pone.0087357>`_;
    figure 3b of `PCL <https://arxiv.org/abs/2005.04966>`_), with Euclidean
    distances of l2-normalised embeddings: N_x is the size of a sample's class
    and m the number of other samples no farther than its k-th nearest
    neighbour in the class, that one included. Ties (copies, a collapse) all
    count, in m and for k, as in `Gao et al., 2017
    <https://arxiv.org/abs/1709.06212>`_. In float64, O(N^2 D) time.

    It saturates at psi(N) - <psi(N_x)>, about the entropy of the labels, as
    soon as the k nearest neighbours share the class. In many dimensions it is
    biased, mostly downwards, since the k nearest are then no small
    neighbourhood. Compare only values of the same labels, k and number of
    samples.

    Args:
        embeddings (Tensor or ndarray): Shape (N, D), any real dtype.
        labels (Tensor or ndarray): Shape (N,), integers; samples with a
            negative number are ignored. A class of k samples or fewer uses
            as many neighbours as it has; a class of one is left out, as in
            scikit-learn's ``mutual_info_classif``.
        k (int): Neighbours in the class.
        max_samples (int, optional): Most samples to draw; None takes all.
        seed (int): Seed of that draw.
        chunk (int): Samples compared with all at once.

    Returns:
        float: Nats; around 0 for independent labels, where it can be
        negative.

    Raises:
        ValueError: If fewer than two classes have two samples, an embedding
            is not finite or zero, or an argument is out of range.
        TypeError: If the labels are not integers.
    """
    if k < 1:
        raise ValueError(f'k must be at least 1, got {k}.')
    points = as_unit_vectors(embeddings)
    labels = as_groups(labels, len(points), 'labels')
    rows = subsample(torch.nonzero(labels >= 0).flatten(), max_samples, seed)
    _, inverse, sizes = labels[rows].unique(
        return_inverse=True, return_counts=True
    )
    rows = rows[sizes[inverse] > 1]
    classes = [
        torch.nonzero(labels[rows] == label).flatten()
        for label in labels[rows].unique()
    ]
    if len(classes) < 2:
        raise ValueError(
            f'{len(classes)} of {len(sizes)} classes have two samples or '
            'more, and two such classes are needed. Give more samples, or '
            'raise max_samples.'
        )
    points = points[rows.to(points.device)]

    number = len(points)
    total = torch.digamma(torch.tensor(float(number), dtype=torch.float64))
    for members in classes:
        size = len(members)
        for of in members.split(chunk):
            # Monotonic in the Euclidean distance; only the order counts.
            far = (1 - points[of] @ points.T).round(decimals=_DECIMALS)
            far[range(len(of)), of] = torch.inf
            inside = far[:, members]
            radius = inside.kthvalue(min(k, size - 1), 1, keepdim=True)[0]
            near_inside = (inside <= radius).sum(dim=1).double()
            near_all = (far <= radius).sum(dim=1).double()
            gain = near_inside.digamma() - near_all.digamma()
            gain -= gain.new_tensor(float(size)).digamma()
            total += gain.sum().cpu() / number
    return total.item()


def _both(groups: ArrayLike, labels: ArrayLike) -> tuple:
    """Return the groups and labels, as arrays, of samples that have both."""
    labels = as_groups(labels, len(labels), 'labels')
    groups = as_groups(groups, len(labels))
    both = (groups >= 0) & (labels >= 0)
    if len(labels[both].unique()) < 2:
        raise ValueError(
            f'{int(both.sum())} of {len(labels)} samples have a group and a '
            'label (>= 0), of fewer than two classes: the measure needs two.'
        )
    return groups[both].numpy(), labels[both].numpy()
