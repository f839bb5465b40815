# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The equations of PCL and PAUC as pure functions on tensors."""

import torch
import torch.nn.functional as F


def proto_nce(
    query: torch.Tensor,
    centroids: torch.Tensor,
    phi: torch.Tensor,
    batch_ids: torch.Tensor,
    negative_ids: torch.Tensor,
    negative_mask: torch.Tensor,
    first: int = 0,
    mask_same_cluster: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Prototype term of ProtoNCE for one clustering (PCL, eq. 11).

    .. math::
        -\frac{1}{N} \sum_i \log \frac{\exp(v_i \cdot c_{s(i)} / \phi_{s(i)})}
        {\sum_j \exp(v_i \cdot c_j / \phi_j)}

    This is a cross-entropy: the columns are the prototypes of all samples of
    the batch, in the order of the samples, and the drawn negatives; the
    target of sample i is its own column.

    Args:
        query (Tensor): l2-normalised embeddings v, shape (N, D).
        centroids (Tensor): l2-normalised prototypes c, shape (K, D).
        phi (Tensor): Concentrations, shape (K,), positive.
        batch_ids (Tensor): Prototype of each sample of the whole batch, over
            all ranks, shape (B,), int64, B >= N.
        negative_ids (Tensor): Candidate negatives, shape (R,), int64.
        negative_mask (Tensor): Which candidates count, shape (R,), bool.
        first (int): Place of ``query[0]`` in the whole batch. Defaults to 0.
        mask_same_cluster (bool): Leave out the columns that repeat a sample's
            own prototype for another sample of its cluster. False keeps them
            as negatives, as the official implementation does.

    Returns:
        tuple[Tensor, Tensor]: The mean loss, and the share of samples for
        which no column beats the own prototype; both scalars.
    """
    columns = torch.cat([batch_ids, negative_ids])
    logits = query @ centroids[columns].t() / phi[columns]
    targets = first + torch.arange(len(query), device=query.device)
    own_ids = batch_ids[targets]
    repeated = own_ids[:, None] == batch_ids[None, :]
    repeated = repeated.scatter(1, targets[:, None], False)
    dropped = torch.cat(
        [
            repeated if mask_same_cluster else torch.zeros_like(repeated),
            (~negative_mask).expand(len(query), -1),
        ],
        dim=1,
    )
    logits = logits.masked_fill(dropped, float('-inf'))
    loss = F.cross_entropy(logits, targets)
    best = logits.detach().max(dim=1).values
    own = logits.detach().gather(1, targets[:, None]).squeeze(1)
    return loss, (own >= best).float().mean()


def prototype_alignment(
    prototypes: torch.Tensor, positives: torch.Tensor, power: float = 2.0
) -> torch.Tensor:
    r"""Alignment of positive prototypes (PAUC, eq. 4).

    .. math:: E_{(p, q) \sim pos} \|c_p - c_q\|_2^s

    A positive pair is one cluster's prototype seen from two views.

    Args:
        prototypes (Tensor): From the query view, shape (P, D).
        positives (Tensor): The same clusters from the momentum encoder's
            view, shape (P, D).
        power (float): s. Defaults to 2.

    Returns:
        Tensor: Scalar, in [0, 2^s] for normalised prototypes.
    """
    squared = (prototypes - positives).pow(2).sum(dim=1)
    if power == 2:  # the root has no gradient where the pair coincides
        return squared.mean()
    tiny = torch.finfo(squared.dtype).tiny
    return squared.clamp(min=tiny).pow(power / 2).mean()


def prototype_uniformity(
    prototypes: torch.Tensor, t: float = 2.0
) -> torch.Tensor:
    r"""Uniformity over pairs of distinct prototypes (PAUC, eq. 5).

    .. math:: E_{(p, q)} \exp(-t \|c_p - c_q\|_2^2)

    There is no logarithm outside, unlike in Wang and Isola's loss.

    Args:
        prototypes (Tensor): Shape (P, D), P >= 2.
        t (float): Sharpness of the kernel. Defaults to 2.

    Returns:
        Tensor: Scalar, in [exp(-4 t), 1] for normalised prototypes.
    """
    return torch.pdist(prototypes).pow(2).mul(-t).exp().mean()


def prototype_correlation(
    prototypes: torch.Tensor, temperature: float = 0.1
) -> torch.Tensor:
    r"""Correlation over ordered pairs of distinct prototypes (PAUC, eq. 6).

    .. math:: E_{(p, q)} \sum_d P_p \log(P_q / P_p)
              = -E_{(p, q)} KL(P_p \| P_q), \quad P = softmax(c / T)

    The equation divides and takes logarithms of the coordinates themselves,
    which is undefined for negative ones; the softmax makes each prototype
    the distribution that the paper calls it. Minimising the term drives
    different prototypes apart in every dimension.

    Args:
        prototypes (Tensor): Shape (P, D), P >= 2.
        temperature (float): T. Defaults to 0.1; at 1 the term vanishes in
            128 dimensions.

    Returns:
        Tensor: Scalar, <= 0.
    """
    log_p = F.log_softmax(prototypes / temperature, dim=1)
    p = log_p.exp()
    # sum_d P_p log P_q for all (p, q); the diagonal holds the entropies.
    cross = p @ log_p.t()
    negative_kl = cross - cross.diagonal()[:, None]
    num = len(prototypes)
    return negative_kl.sum() / (num * (num - 1))
