# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math

import torch


def normalized_mutual_information(
    first: torch.Tensor, second: torch.Tensor
) -> float:
    """Agreement of two clusterings of the same samples.

    scikit-learn's ``normalized_mutual_info_score`` (arithmetic mean), which
    takes seconds for a million samples in 100,000 clusters.

    Args:
        first (Tensor): Clusters, shape (N,), int64, >= 0.
        second (Tensor): Clusters, shape (N,), int64, >= 0.

    Returns:
        float: From 0, independent, to 1, the same up to numbering.
    """
    alone = [_entropy(torch.bincount(x)) for x in (first, second)]
    if sum(alone) == 0:  # one cluster in both
        return 1.0
    pairs = first * (int(second.max()) + 1) + second
    joint = _entropy(torch.unique(pairs, return_counts=True)[1])
    return max(0.0, 2 * (sum(alone) - joint) / sum(alone))


def _entropy(counts: torch.Tensor) -> float:
    """Entropy in nats of the distribution with these counts."""
    total = int(counts.sum())
    counts = counts[counts > 0].double()
    return math.log(total) - float((counts * counts.log()).sum()) / total
