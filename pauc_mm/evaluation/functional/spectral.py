# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Label-free measures that are functions of the singular values alone.

They take embeddings of shape (N, D), any real dtype, and raise a ValueError if
these are not finite. They say how many axes are in use, not what lies along
them: noise of full rank has the best values.
"""

import torch
from torch import Tensor

from .checks import ArrayLike
from .singular_values import singular_values

EPSILON = 1e-7  # RankMe's
_FIRST, _LAST = 11, 100


def effective_rank(
    embeddings: ArrayLike,
    center: bool = True,
    max_samples: int | None = None,
    seed: int = 0,
) -> float:
    r"""Measure how many dimensions embeddings effectively use.

    The exponential of the entropy of the singular values divided by their sum
    (`Roy and Vetterli, 2007 <https://infoscience.epfl.ch/record/110188>`_),
    in float64. Rows are not normalised: do so first if only directions
    matter.

    Args:
        embeddings (Tensor or ndarray): Shape (N, D), any real dtype.
        center (bool): Whether to subtract the mean row first, so that a common
            offset does not count as a dimension.
        max_samples (int, optional): Most samples to draw; None takes all.
        seed (int): Seed of that draw.

    Returns:
        float: The effective rank, between 1 and min(N, D); 0 if all singular
        values are zero: (centred) all rows are equal.

    Raises:
        ValueError: If the embeddings are not a finite matrix.
    """
    return rank_of_spectrum(
        singular_values(embeddings, center, max_samples, seed)
    )


def rank_of_spectrum(values: Tensor, epsilon: float = 0.0) -> float:
    """Return the effective rank of singular values (R,), on any scale.

    ``epsilon`` is added to each share; 0 is returned where all values are 0.
    """
    if not values.any():
        return 0.0
    share = values / values.sum() + epsilon
    return torch.special.entr(share).sum().exp().item()


def rankme(embeddings: ArrayLike) -> float:
    r"""Measure RankMe, the effective rank of embeddings that are not centred.

    .. math::
        \exp \left( -\sum_k p_k \log p_k \right), \quad
        p_k = \sigma_k / \|\sigma\|_1 + 10^{-7}

    (equation 1 of `Garrido et al., 2023 <https://arxiv.org/abs/2210.02885>`_,
    who rank runs of one method by it). A common offset is one large singular
    value and lowers it: :func:`effective_rank` centres.

    Returns:
        float: From 1 to min(N, D), but for the epsilon; 0 if all are zero.
    """
    return rank_of_spectrum(singular_values(embeddings, False), EPSILON)


def stable_rank(embeddings: ArrayLike) -> float:
    r"""Measure :math:`\|Z\|_F^2 / \|Z\|_2^2`, not centred.

    A lower bound of the rank (`Rudelson and Vershynin, 2007
    <https://arxiv.org/abs/math/0503442>`_) that hardly sees small values.

    Returns:
        float: From 1 to min(N, D); 0 if all are zero.
    """
    return sum_by_largest(singular_values(embeddings, center=False))


def nesum(embeddings: ArrayLike) -> float:
    r"""Measure :math:`\sum_i \lambda_i / \lambda_1` of the covariance.

    The normalised sum of eigenvalues of `He and Ozay, 2022
    <https://proceedings.mlr.press/v162/he22c.html>`_: the stable rank of the
    centred embeddings, 1 for a line and D if whitened.

    Returns:
        float: From 1 to min(N - 1, D); 0 if all rows are equal.
    """
    return sum_by_largest(singular_values(embeddings))


def sum_by_largest(values: Tensor) -> float:
    """Return the sum of the squares of singular values by the largest."""
    squares = values.square()
    return (squares.sum() / squares[0]).item() if squares[0] > 0 else 0.0


def alpha_req(embeddings: ArrayLike) -> float:
    r"""Measure alpha of :math:`\lambda_j \propto j^{-\alpha}`.

    The decay of the eigenvalues of the covariance, a line through their
    logarithms over those of the index with weights 1/j, from the 11th to the
    100th or the last above zero, as in the authors' code (`Agrawal et al.,
    2022 <https://openreview.net/forum?id=ii9X4vtZGTZ>`_, who find models near
    1 the best). A spectrum that is no power law has an alpha, too.

    Returns:
        float: alpha; 0 for a flat spectrum, higher for fewer dimensions.

    Raises:
        ValueError: If fewer than 13 eigenvalues are above zero.
    """
    values = singular_values(embeddings)
    alpha = alpha_of_spectrum(values)
    if alpha is None:
        raise ValueError(
            f'alpha_req needs {_FIRST + 2} eigenvalues above zero, got '
            f'{int((values > 0).sum())}: give more or wider embeddings.'
        )
    return alpha


def alpha_of_spectrum(values: Tensor) -> float | None:
    """Return alpha of centred singular values (R,), or None of too few."""
    logs = values[values > 0][_FIRST - 1 : _LAST].square().log()
    if len(logs) < 3:
        return None
    index = torch.arange(_FIRST, _FIRST + len(logs)).to(logs)
    weights, x = 1 / index, index.log()
    x = x - (weights * x).sum() / weights.sum()
    return -((weights * x * logs).sum() / (weights * x * x).sum()).item()
