# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Equations of PCL, PAUC and KoLeo as pure functions on tensors.

No shape depends on a value, so nothing waits for the device: rows that do not
count are masked, not cut out.
"""

import torch
import torch.nn.functional as F


def proto_nce(
    query: torch.Tensor,
    centroids: torch.Tensor,
    phi: torch.Tensor,
    batch_ids: torch.Tensor,
    negatives: tuple[torch.Tensor, torch.Tensor],
    rank_offset: int = 0,
    mask_same_cluster: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Return the prototype term of ProtoNCE for M clusterings (PCL, eq. 11).

    .. math::
        -\frac{1}{N M} \sum_m \sum_i \log
        \frac{\exp(v_i \cdot c_{s(i)}^m / \phi_{s(i)}^m)}
        {\sum_j \exp(v_i \cdot c_j^m / \phi_j^m)}

    A cross-entropy whose columns are the prototypes of all samples of the
    batch and the drawn negatives; the target of sample i is column i.

    Args:
        query (Tensor): l2-normalised embeddings v, shape (N, D).
        centroids (Tensor): l2-normalised prototypes c of all clusterings, one
            below the other, shape (K_1 + ... + K_M, D).
        phi (Tensor): Their concentrations, (K_1 + ... + K_M,), positive.
        batch_ids (Tensor): Row of ``centroids`` of each sample of the whole
            batch, over all ranks, shape (M, B), int64, B >= N.
        negatives (tuple[Tensor, Tensor]): Rows of the candidate negatives,
            shape (M, R), int64, and which of them count, (M, R), bool.
        rank_offset (int): Index of ``query[0]`` in the batch.
        mask_same_cluster (bool): Leave out the columns that repeat a sample's
            own prototype for another sample of its cluster. False keeps them
            as negatives, as the official implementation does.

    Returns:
        tuple[Tensor, Tensor]: The mean loss, a scalar, and the share of
        samples whose own prototype no column beats, shape (M,).
    """
    columns = torch.arange(batch_ids.shape[1], device=query.device)  # (B,)
    column = columns[rank_offset : rank_offset + len(query)]  # (N,)
    logits = prototype_logits(query, centroids, phi, batch_ids)  # (N, M, B)
    if mask_same_cluster:
        ids = batch_ids.index_select(1, column)  # (M, N)
        repeated = ids[..., None] == batch_ids[:, None]  # (M, N, B)
        repeated &= column[:, None] != columns
        logits = logits.masked_fill(repeated.transpose(0, 1), float('-inf'))
    drawn = prototype_logits(query, centroids, phi, *negatives)  # (N, M, R)
    logits = torch.cat([logits, drawn], dim=2)
    targets = column[:, None].expand(-1, len(batch_ids))  # (N, M)
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    scores = logits.detach()
    positive = scores.gather(2, targets[:, :, None]).squeeze(2)
    return loss, (positive >= scores.amax(dim=2)).float().mean(dim=0)


def prototype_logits(
    query: torch.Tensor,
    centroids: torch.Tensor,
    phi: torch.Tensor,
    ids: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return v . c / phi for candidates ids (M, C), shape (N, M, C).

    ``einsum('nd,mcd->nmc', query, centroids[ids]) / phi[ids]`` with n
    samples, m clusterings, c candidates and d dimensions, and -inf outside
    the mask (M, C). One matrix product; ``index_select`` copies whole rows,
    which takes a quarter of the time of indexing.
    """
    rows = ids.flatten()
    products = query @ centroids.index_select(0, rows).t()
    products = products.view(len(query), *ids.shape)
    scale = phi.index_select(0, rows).reciprocal().view_as(ids)
    if mask is None:
        return products * scale
    offset = query.new_zeros(mask.shape).masked_fill_(~mask, float('-inf'))
    return torch.addcmul(offset, products, scale)


def prototype_alignment(
    prototypes: torch.Tensor,
    positives: torch.Tensor,
    power: float = 2.0,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""Return the alignment of positive prototypes (PAUC, eq. 4).

    .. math:: E_{(p, q) \sim pos} \|c_p - c_q\|_2^s

    Args:
        prototypes (Tensor): From the query view, shape (..., P, D).
        positives (Tensor): Prototypes of the same clusters from the momentum
            encoder's view, shape (..., P, D).
        power (float): s.
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
    prototypes: torch.Tensor, t: float = 2.0, mask: torch.Tensor | None = None
) -> torch.Tensor:
    r"""Return the uniformity of distinct prototypes (PAUC, eq. 5).

    .. math:: E_{(p, q)} \exp(-t \|c_p - c_q\|_2^2)

    There is no logarithm outside, unlike in Wang and Isola's loss.

    Args:
        prototypes (Tensor): Shape (..., P, D), P >= 2.
        t (float): Sharpness of the kernel.
        mask (Tensor, optional): Which rows count, shape (..., P), bool.

    Returns:
        Tensor: Shape (...), in [exp(-4 t), 1] for normalised prototypes; 0
        where the mask leaves no pair.
    """
    products = prototypes @ prototypes.mT
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
    r"""Return the correlation of distinct prototypes (PAUC, eq. 6).

    .. math:: E_{(p, q)} \sum_d P_p \log(P_q / P_p)
              = -E_{(p, q)} KL(P_p \| P_q), \quad P = softmax(c / T)

    The equation takes logarithms of the coordinates, which is undefined for
    negative ones; the softmax makes each prototype the distribution that the
    paper calls it. Minimising the term drives prototypes apart.

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
    # The double sum over P_p (log P_q - log P_p) factorises; pairs of a
    # prototype with itself add zero.
    over_q = (log_p * weights[..., None]).sum(dim=-2, keepdim=True)
    num = weights.sum(dim=-1)[..., None, None]
    return (weighted_p * (over_q - num * log_p)).sum(dim=(-2, -1)) / pairs


def koleo(vectors: torch.Tensor, eps: float = 1e-8) -> torch.Tensor:
    r"""Return the KoLeo regulariser of vectors.

    .. math::
        -\frac{1}{K} \sum_k \log(\min_{j \neq k} \|c_k - c_j\|_2 + \epsilon)

    Of Sablayrolles et al., *Spreading vectors for similarity search* (ICLR
    2019), as DINOv2 computes it on embeddings. On prototypes it is the KoLeo
    term of Govindarajan et al., *On partial prototype collapse in the DINO
    family of self-supervised methods* (BMVC 2024, arXiv 2410.14060).
    O(K^2 D) time; K x K is never held. The measure of the same name is in
    :mod:`pauc_mm.evaluation.functional`, in float64 and without gradient.

    Args:
        vectors (Tensor): l2-normalised, shape (K, D), K >= 2.
        eps (float): Against the logarithm of 0: added to each coordinate's
            difference, and to the distance. Exact copies have no gradient.

    Returns:
        Tensor: A scalar, at least -log 2.
    """
    nearest = nearest_others(vectors.detach())
    others = vectors.index_select(0, nearest)
    return -(F.pairwise_distance(vectors, others, eps=eps) + eps).log().mean()


@torch.compiler.disable  # or it would unroll the loop
def nearest_others(vectors: torch.Tensor, chunk: int = 1024) -> torch.Tensor:
    """Return the row of largest product with each row, but itself, (K,)."""
    nearest = []
    for start in range(0, len(vectors), chunk):
        products = vectors[start : start + chunk] @ vectors.T
        products.diagonal(start).fill_(-torch.inf)
        nearest.append(products.argmax(dim=1))
    return torch.cat(nearest)


def _weights(prototypes, mask):
    """Return 1 for rows that count, (..., P), and the number of pairs."""
    if mask is None:
        weights = prototypes.new_ones(prototypes.shape[:-1])
    else:
        weights = mask.to(prototypes.dtype)
    num = weights.sum(dim=-1)
    return weights, (num * (num - 1)).clamp(min=1)
