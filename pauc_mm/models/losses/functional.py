# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The equations of PCL and PAUC as pure functions on tensors.

No shape depends on a value, so that nothing waits for the device: what does
not count is masked, not cut out.
"""

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
    r"""Prototype term of ProtoNCE for M clusterings (PCL, eq. 11).

    .. math::
        -\frac{1}{N M} \sum_m \sum_i \log
        \frac{\exp(v_i \cdot c_{s(i)}^m / \phi_{s(i)}^m)}
        {\sum_j \exp(v_i \cdot c_j^m / \phi_j^m)}

    This is a cross-entropy: the columns are the prototypes of all samples of
    the batch, in the order of the samples, and the drawn negatives; the
    target of sample i is its own column. All clusterings go through the same
    few operations.

    Args:
        query (Tensor): l2-normalised embeddings v, shape (N, D).
        centroids (Tensor): l2-normalised prototypes c of all clusterings, one
            below the other, shape (K_1 + ... + K_M, D).
        phi (Tensor): Their concentrations, shape (K_1 + ... + K_M,),
            positive.
        batch_ids (Tensor): Rows of ``centroids``: the prototype of each
            sample of the whole batch, over all ranks, shape (M, B), int64,
            B >= N.
        negative_ids (Tensor): Rows of the candidate negatives, shape (M, R),
            int64.
        negative_mask (Tensor): Which candidates count, shape (M, R), bool.
        first (int): Place of ``query[0]`` in the whole batch. Defaults to 0.
        mask_same_cluster (bool): Leave out the columns that repeat a sample's
            own prototype for another sample of its cluster. False keeps them
            as negatives, as the official implementation does.

    Returns:
        tuple[Tensor, Tensor]: The mean loss, a scalar, and for each
        clustering the share of samples for which no column beats the own
        prototype, shape (M,).
    """
    places = first + torch.arange(len(query), device=query.device)
    own = _logits(query, centroids, phi, batch_ids)
    if mask_same_cluster:
        own_ids = batch_ids.index_select(1, places)
        repeated = own_ids[:, :, None] == batch_ids[:, None, :]
        others = places[:, None] != torch.arange(
            batch_ids.shape[1], device=query.device
        )
        own = own.masked_fill(
            (repeated & others).transpose(0, 1), float('-inf')
        )
    not_drawn = torch.zeros_like(negative_mask, dtype=query.dtype)
    not_drawn = not_drawn.masked_fill(~negative_mask, float('-inf'))
    drawn = _logits(query, centroids, phi, negative_ids, not_drawn)
    logits = torch.cat([own, drawn], dim=2)
    targets = places[:, None].expand(-1, len(batch_ids))
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    scores = logits.detach()
    positive = scores.gather(2, targets[:, :, None]).squeeze(2)
    return loss, (positive >= scores.amax(dim=2)).float().mean(dim=0)


def _logits(query, centroids, phi, ids, offset=None):
    """Scores v . c / phi + offset of the rows ids (M, C): (N, M, C)."""
    rows = ids.flatten()  # index_select copies rows; indexing is 4x slower
    products = query @ centroids.index_select(0, rows).t()
    scale = phi.index_select(0, rows).reciprocal().view_as(ids)
    products = products.view(len(query), *ids.shape)
    if offset is None:
        return products * scale
    return torch.addcmul(offset, products, scale)


def prototype_alignment(
    prototypes: torch.Tensor,
    positives: torch.Tensor,
    power: float = 2.0,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""Alignment of positive prototypes (PAUC, eq. 4).

    .. math:: E_{(p, q) \sim pos} \|c_p - c_q\|_2^s

    A positive pair is one cluster's prototype seen from two views.

    Args:
        prototypes (Tensor): From the query view, shape (..., P, D).
        positives (Tensor): The same clusters from the momentum encoder's
            view, shape (..., P, D).
        power (float): s. Defaults to 2.
        mask (Tensor, optional): Which rows count, shape (..., P), bool.

    Returns:
        Tensor: Shape (...), in [0, 2^s] for normalised prototypes.
    """
    distances = (prototypes - positives).pow(2).sum(dim=-1)
    if power != 2:  # the root has no gradient where the pair coincides
        tiny = torch.finfo(distances.dtype).tiny
        distances = distances.clamp(min=tiny).pow(power / 2)
    if mask is None:
        return distances.mean(dim=-1)
    return (distances * mask).sum(dim=-1) / mask.sum(dim=-1)


def prototype_uniformity(
    prototypes: torch.Tensor,
    t: float = 2.0,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""Uniformity over pairs of distinct prototypes (PAUC, eq. 5).

    .. math:: E_{(p, q)} \exp(-t \|c_p - c_q\|_2^2)

    There is no logarithm outside, unlike in Wang and Isola's loss.

    Args:
        prototypes (Tensor): Shape (..., P, D), P >= 2.
        t (float): Sharpness of the kernel. Defaults to 2.
        mask (Tensor, optional): Which rows count, shape (..., P), bool.

    Returns:
        Tensor: Shape (...), in [exp(-4 t), 1] for normalised prototypes; 0
        where the mask leaves no pair.
    """
    products = prototypes @ prototypes.transpose(-2, -1)
    squares = prototypes.pow(2).sum(dim=-1)
    distances = squares[..., :, None] + squares[..., None, :] - 2 * products
    # A prototype is no pair with itself: exp(-inf) is 0.
    itself = torch.full_like(squares, float('inf')).diag_embed()
    kernel = ((distances + itself) * -t).exp()
    weights, pairs = _weights(prototypes, mask)
    over_q = (kernel @ weights[..., None]).squeeze(-1)
    return (over_q * weights).sum(dim=-1) / pairs


def prototype_correlation(
    prototypes: torch.Tensor,
    temperature: float = 0.1,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""Correlation over ordered pairs of distinct prototypes (PAUC, eq. 6).

    .. math:: E_{(p, q)} \sum_d P_p \log(P_q / P_p)
              = -E_{(p, q)} KL(P_p \| P_q), \quad P = softmax(c / T)

    The equation divides and takes logarithms of the coordinates themselves,
    which is undefined for negative ones; the softmax makes each prototype
    the distribution that the paper calls it. Minimising the term drives
    different prototypes apart in every dimension.

    Args:
        prototypes (Tensor): Shape (..., P, D), P >= 2.
        temperature (float): T. Defaults to 0.1; at 1 the term vanishes in
            128 dimensions.
        mask (Tensor, optional): Which rows count, shape (..., P), bool.

    Returns:
        Tensor: Shape (...), <= 0; 0 where the mask leaves no pair.
    """
    log_p = F.log_softmax(prototypes / temperature, dim=-1)
    weights, pairs = _weights(prototypes, mask)
    weighted_p = log_p.exp() * weights[..., None]
    # The double sum over P_p (log P_q - log P_p) falls into sums over p and
    # over q; a prototype with itself adds zero.
    over_q = (log_p * weights[..., None]).sum(dim=-2, keepdim=True)
    num = weights.sum(dim=-1)[..., None, None]
    return (weighted_p * (over_q - num * log_p)).sum(dim=(-2, -1)) / pairs


def _weights(prototypes, mask):
    """1 for rows that count, (..., P), and the number of ordered pairs."""
    if mask is None:
        weights = prototypes.new_ones(prototypes.shape[:-1])
    else:
        weights = mask.to(prototypes.dtype)
    num = weights.sum(dim=-1)
    return weights, (num * (num - 1)).clamp(min=1)
