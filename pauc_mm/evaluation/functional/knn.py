# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from pauc_mm.utils.require import require

from .checks import ArrayLike, as_unit_vectors


def knn_predict(
    query: ArrayLike,
    bank: ArrayLike,
    bank_labels: ArrayLike,
    num_classes: int,
    k: int | Sequence[int] = 20,
    temperature: float = 0.1,
    chunk: int = 1024,
    exclude_self: bool = False,
) -> dict[int, Tensor]:
    """Predict classes by a weighted vote of the nearest neighbours.

    Each of the k nearest bank features v' of a query v votes for its class
    with weight exp(v.v' / temperature), on l2-normalised features (section
    4.2 of `PCL <https://arxiv.org/abs/2005.04966>`_, with k = 20 and 200).
    Equal votes go to the lowest class number. Neighbours are exact (faiss,
    inner product, float32); the votes are summed in float64.

    Args:
        query (Tensor or ndarray): Shape (Q, C), any real dtype.
        bank (Tensor or ndarray): Shape (B, C), the labelled references.
        bank_labels (Tensor or ndarray): Shape (B,), integers in
            [0, num_classes).
        num_classes (int): Number of classes.
        k (int or sequence of int): Numbers of neighbours.
        temperature (float): Temperature of the weights.
        chunk (int): Queries searched at once.
        exclude_self (bool): Whether ``query`` is ``bank`` and a sample may not
            vote for itself (leave-one-out).

    Returns:
        dict[int, Tensor]: Predicted classes for each k, (Q,), int64, CPU.

    Raises:
        ValueError: If a k is not in [1, size of the bank], a feature is not
            finite or is zero, or an argument does not fit another.
        ImportError: If faiss is missing.
    """
    faiss = require('faiss', 'faiss-cpu', 'kNN classification')
    ks = sorted({k} if isinstance(k, int) else set(k))
    queries = _rows(query, 'query features')
    references = _rows(bank, 'bank features')
    labels = np.asarray(torch.as_tensor(bank_labels).cpu())
    if queries.shape[1] != references.shape[1]:
        raise ValueError(
            'query and bank features must have the same length, got '
            f'{queries.shape[1]} and {references.shape[1]}.'
        )
    if labels.shape != (len(references),):
        raise ValueError(
            f'bank_labels must have shape ({len(references)},), '
            f'got {labels.shape}.'
        )
    if labels.min() < 0 or labels.max() >= num_classes:
        raise ValueError(
            f'bank_labels must lie in [0, num_classes={num_classes}), got '
            f'{labels.min()} to {labels.max()}.'
        )
    if temperature <= 0:
        raise ValueError(f'temperature must be > 0, got {temperature}.')
    if exclude_self and len(queries) != len(references):
        raise ValueError(
            'exclude_self=True needs query and bank to be the same samples, '
            f'got {len(queries)} and {len(references)}.'
        )
    available = len(references) - exclude_self
    if not ks or ks[0] < 1 or ks[-1] > available:
        raise ValueError(
            f'k={ks} must lie between 1 and the {available} references that '
            'can vote for a sample. Lower k or give a larger bank.'
        )

    index = faiss.IndexFlatIP(references.shape[1])
    index.add(references)
    del references  # the index holds a copy
    predictions: dict[int, list] = {number: [] for number in ks}
    for start in range(0, len(queries), chunk):
        rows = queries[start : start + chunk]
        scores, neighbours = index.search(rows, ks[-1] + exclude_self)
        if exclude_self:
            itself = np.arange(start, start + len(rows))
            scores, neighbours = _drop_self(scores, neighbours, itself)
        # Relative to the nearest, so that no temperature overflows.
        scores = scores.astype(np.float64)
        weights = np.exp((scores - scores[:, :1]) / temperature)
        classes = labels[neighbours]
        for number in ks:
            predictions[number].append(
                _vote(classes[:, :number], weights[:, :number], num_classes)
            )
    return {
        number: torch.from_numpy(np.concatenate(parts))
        for number, parts in predictions.items()
    }


def _rows(values: ArrayLike, name: str) -> np.ndarray:
    unit = as_unit_vectors(values, name, dtype=torch.float32)
    return np.ascontiguousarray(unit.cpu().numpy())


def _drop_self(scores, neighbours, itself):
    """Remove each query from its k + 1 neighbours, or else the last."""
    remove = neighbours == itself[:, None]
    # Among exact duplicates it may not be listed; then any k will do.
    remove[~remove.any(axis=1), -1] = True
    shape = (len(itself), -1)
    return scores[~remove].reshape(shape), neighbours[~remove].reshape(shape)


def _vote(classes, weights, num_classes):
    bins = np.arange(len(classes))[:, None] * num_classes + classes
    length = len(classes) * num_classes
    votes = np.bincount(bins.ravel(), weights.ravel(), length)
    return votes.reshape(len(classes), num_classes).argmax(axis=1)
