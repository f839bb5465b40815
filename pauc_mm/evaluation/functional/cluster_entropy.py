# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import math
from collections.abc import Sequence

import torch

from .checks import ArrayLike


def cluster_entropy(sizes: ArrayLike | Sequence[int]) -> float:
    """Measure how evenly samples are spread over clusters.

    The entropy of the cluster sizes divided by the logarithm of the number of
    clusters, empty ones included: 1 if all sizes are equal, 0 if one cluster
    holds everything.

    Args:
        sizes (Tensor, ndarray or sequence): Members of each cluster, (K,).

    Returns:
        float: The normalised entropy, in [0, 1]; 1 for a single cluster.

    Raises:
        ValueError: If there is no cluster, a size is negative or all are zero.
    """
    sizes = torch.as_tensor(sizes).double().flatten()
    if (sizes < 0).any() or not sizes.sum() > 0:
        raise ValueError(
            'sizes must be numbers >= 0, one for each cluster, with at least '
            f'one member in all, got {sizes[:10].tolist()} (first 10 shown).'
        )
    if len(sizes) == 1:
        return 1.0
    share = sizes / sizes.sum()
    return (torch.special.entr(share).sum() / math.log(len(sizes))).item()
