# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""How much features or groups tell about labels, and how well they agree."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .checks import (
    ArrayLike,
    as_groups,
    as_unit_vectors,
    require,
    subsample,
)

# Cosines of float32 vectors that differ by less are equal.
_DECIMALS = 12


def adjusted_mutual_information(groups: ArrayLike, labels: ArrayLike) -> float:
    """Measure the agreement of groups with labels, corrected for chance.

    scikit-learn's ``adjusted_mutual_info_score`` (arithmetic mean), with
    which table 7 of `PCL <https://arxiv.org/abs/2005.04966>`_ compares
    clusterings. Unlike the mutual information it does not grow by itself with
    the number of groups. Many groups a class still cost: groups finer than
    the labels stay below 1 even if every group is pure.

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
    prototypes. It is at most the entropy of the labels, which it reaches by
    itself when groups get as small as one sample: compare equal numbers of
    groups, or see :func:`adjusted_mutual_information`.

    Args:
        groups (Tensor or ndarray): Shape (N,), integers.
        labels (Tensor or ndarray): Shape (N,), integers. Samples that are
            negative in either are ignored.

    Returns:
        float: Nats, from 0 to the entropy of the labels.

    Raises:
        ValueError: If no sample or a single class is left, or the shapes
            differ.
        TypeError: If the numbers are not integers.
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
    neighbour in the class, that one included. Where several are equally far
    (copies, a collapse) all of them count, in m and for k, as in `Gao et al.,
    2017 <https://arxiv.org/abs/1709.06212>`_. In float64, O(N^2 D) time.

    It saturates: it cannot exceed psi(N) - <psi(N_x)>, about the entropy of
    the labels, and reaches it as soon as the k nearest neighbours share the
    class. In many dimensions it is biased, mostly downwards, for the k
    nearest are then no small neighbourhood. Compare values of the same
    labels, k and number of samples only.

    Args:
        embeddings (Tensor or ndarray): Shape (N, D), any real dtype.
        labels (Tensor or ndarray): Shape (N,), integers; samples with a
            negative number are ignored. A class of k samples or fewer uses
            as many neighbours as it has; a class of one has none and is left
            out, which is also what scikit-learn's ``mutual_info_classif``
            does.
        k (int): Neighbours in the class. Defaults to 3.
        max_samples (int, optional): Estimate from at most so many samples,
            drawn without replacement; None takes all. Defaults to 10000.
        seed (int): Seed of that draw. Defaults to 0.
        chunk (int): Samples compared with all at once. Defaults to 512.

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
            'more among those used, and two such classes are needed: give '
            'more samples, or raise max_samples.'
        )
    points = points[rows.to(points.device)]

    def distances(of: Tensor) -> Tensor:
        # Monotonic in the Euclidean distance, of which only the order counts.
        return (1 - points[of] @ points.T).round(decimals=_DECIMALS)

    return _ross(distances, classes, k, chunk)


def _ross(
    distances: Callable, classes: list[Tensor], k: int, chunk: int
) -> float:
    """Return the estimate, given distances (n, N) of n samples to all N."""
    number = sum(len(members) for members in classes)
    total = torch.digamma(torch.tensor(float(number), dtype=torch.float64))
    for members in classes:
        size = len(members)
        for of in members.split(chunk):
            far = distances(of)
            far[range(len(of)), of] = torch.inf
            own = far[:, members]
            radius = own.kthvalue(min(k, size - 1), dim=1, keepdim=True)[0]
            near_own = (own <= radius).sum(dim=1).double()
            near_all = (far <= radius).sum(dim=1).double()
            gain = near_own.digamma() - near_all.digamma()
            gain -= gain.new_tensor(float(size)).digamma()
            total += gain.sum().cpu() / number
    return total.item()


def _both(groups: ArrayLike, labels: ArrayLike) -> tuple:
    """Return the groups and labels, as arrays, of samples that have both."""
    labels = torch.as_tensor(labels).flatten()
    labels = as_groups(labels, len(labels), 'labels')
    groups = as_groups(groups, len(labels))
    both = (groups >= 0) & (labels >= 0)
    if len(labels[both].unique()) < 2:
        raise ValueError(
            f'{int(both.sum())} of {len(labels)} samples have a group and a '
            'label (>= 0), and these are of fewer than two classes: there is '
            'nothing to agree with.'
        )
    return groups[both].numpy(), labels[both].numpy()
