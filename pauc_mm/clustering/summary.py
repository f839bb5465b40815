# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Log lines of an E-step."""

import torch

from .kmeans import KMeansResult


def clustering_summary(
    m: int,
    k: int,
    result: KMeansResult,
    phi: torch.Tensor,
    previous: torch.Tensor | None,
    batch: int,
    num_negatives: int,
) -> str:
    """Describe clustering m, asked for k clusters, in one log line.

    Of N images, with concentrations phi (K,), the assignments (N,) of the
    E-step before, and the images of a step over all processes.
    """
    assignments = torch.from_numpy(result.assignments)
    sizes = torch.bincount(assignments)
    nmi = 'none before'
    if previous is not None:
        # Not at the top: `import pauc_mm` loads no scikit-learn.
        from sklearn.metrics import normalized_mutual_info_score

        score = normalized_mutual_info_score(previous, assignments)
        nmi = f'{score:.3f}'
    rivals = prototypes_of_a_step(sizes, k, batch, num_negatives)
    return (
        f'Clustering K={k}: {len(sizes)} clusters used, sizes min '
        f'{int(sizes.min())} / median {int(sizes.median())} / max '
        f'{int(sizes.max())}, objective {result.objective:.4f}, mean '
        f'concentration {float(phi.mean()):.4f} (min {float(phi.min()):.4f}, '
        f'max {float(phi.max()):.4f}), in a batch of {batch} an image has '
        f'{others_of_the_cluster(sizes, batch):.2g} others of its cluster, '
        f'chance for acc_proto_{m} {1 / rivals:.2g}, k-means on '
        f'{result.num_trained} of {len(result.assignments)} samples, NMI with '
        f'the previous assignment: {nmi}'
    )


def others_of_the_cluster(sizes: torch.Tensor, batch: int) -> float:
    """Return the mean number of batch mates that share an image's cluster.

    From sizes (K,) and a batch drawn without replacement. These are the false
    negatives that ``proto_head.mask_same_cluster`` leaves out.
    """
    members = sizes.double()
    total = members.sum().item()
    pairs = (members * (members - 1)).sum().item()
    return (batch - 1) * pairs / max(total * (total - 1), 1)


def prototypes_of_a_step(
    sizes: torch.Tensor, k: int, batch: int, num_negatives: int
) -> float:
    """Estimate how many of K prototypes a sample is compared with.

    Its own, those of the batch, given the sizes of the clusters, and the
    drawn negatives.
    """
    shares = sizes.double() / sizes.sum()
    in_batch = (1 - (1 - shares) ** batch).sum().item()
    return min(float(k), in_batch + num_negatives)
