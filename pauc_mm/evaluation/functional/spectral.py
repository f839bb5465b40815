# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Label-free measures that are functions of the singular values alone.

They see how many axes are in use and not what lies along them: noise of full
rank has the best values there are. All take embeddings of shape (N, D), any
real dtype, a ``max_samples`` and a ``seed`` as :func:`singular_values` does,
and raise a ValueError if the embeddings are not a finite matrix.
"""

import torch
from torch import Tensor

from .checks import ArrayLike
from .effective_rank import rank_of_spectrum
from .singular_values import singular_values

# RankMe's, beside float32 embeddings.
_EPSILON = 1e-7
# Below the first index a spectrum follows the classes, not a power law.
FIT_RANGE = (11, 100)


def rankme(
    embeddings: ArrayLike, max_samples: int | None = None, seed: int = 0
) -> float:
    r"""Measure RankMe, the effective rank of embeddings that are not centred.

    .. math::
        \exp \left( -\sum_k p_k \log p_k \right), \quad
        p_k = \sigma_k / \|\sigma\|_1 + 10^{-7}

    (equation 1 of `Garrido et al., 2023 <https://arxiv.org/abs/2210.02885>`_).
    The paper ranks runs of one method by it, not methods. A common offset is
    one large singular value and lowers it: :func:`effective_rank` centres.

    Returns:
        float: From 1 to min(N, D), but for the epsilon; 0 if all are zero.
    """
    values = singular_values(embeddings, False, max_samples, seed)
    return rankme_of_spectrum(values)


def rankme_of_spectrum(values: Tensor) -> float:
    """Return RankMe of singular values (R,), not centred."""
    return rank_of_spectrum(values, _EPSILON)


def stable_rank(
    embeddings: ArrayLike, max_samples: int | None = None, seed: int = 0
) -> float:
    r"""Measure :math:`\|Z\|_F^2 / \|Z\|_2^2`, without centring.

    A smooth lower bound of the rank (`Rudelson and Vershynin, 2007
    <https://arxiv.org/abs/math/0503442>`_). Only the largest singular value is
    compared with all, so it hardly sees the end of the spectrum.

    Returns:
        float: From 1 to min(N, D); 0 if all are zero.
    """
    values = singular_values(embeddings, False, max_samples, seed)
    return sum_by_largest(values)


def nesum(
    embeddings: ArrayLike, max_samples: int | None = None, seed: int = 0
) -> float:
    r"""Measure NESum: :math:`\sum_i \lambda_i / \lambda_1` of the covariance.

    The normalised sum of eigenvalues of `He and Ozay, 2022
    <https://proceedings.mlr.press/v162/he22c.html>`_, which is the stable
    rank of the centred embeddings. 1 is a line, D whitened.

    Returns:
        float: From 1 to min(N - 1, D); 0 if all rows are equal.
    """
    values = singular_values(embeddings, True, max_samples, seed)
    return sum_by_largest(values)


def sum_by_largest(values: Tensor) -> float:
    """Return the sum of the squares of singular values by the largest."""
    squares = values.square()
    return (squares.sum() / squares[0]).item() if squares[0] > 0 else 0.0


def alpha_req(
    embeddings: ArrayLike, max_samples: int | None = None, seed: int = 0
) -> float:
    r"""Measure alpha of :math:`\lambda_j \propto j^{-\alpha}`.

    The decay of the eigenvalues of the covariance, by least squares of their
    logarithms on that of the index with weights 1/j, from the 11th to the
    100th or the last that is not zero, as in the authors' code (`Agrawal et
    al., NeurIPS 2022 <https://openreview.net/forum?id=ii9X4vtZGTZ>`_). Near 1
    is best, says the paper; lower is noise, higher a collapse of dimensions.
    A spectrum that is no power law has an alpha, too.

    Returns:
        float: alpha, 0 for a flat spectrum.

    Raises:
        ValueError: If fewer than 13 eigenvalues are above zero.
    """
    values = singular_values(embeddings, True, max_samples, seed)
    alpha = alpha_of_spectrum(values)
    if alpha is None:
        raise ValueError(
            f'alpha_req fits eigenvalues from the {FIT_RANGE[0]}th on and '
            f'needs three; of {tuple(values.shape)} only '
            f'{int((values > 0).sum())} are above zero: give more embeddings '
            'or wider ones.'
        )
    return alpha


def alpha_of_spectrum(values: Tensor) -> float | None:
    """Return alpha of centred singular values (R,), or None of too few."""
    first, last = FIT_RANGE
    logs = values[values > 0][first - 1 : last].square().log()
    if len(logs) < 3:
        return None
    index = torch.arange(first, first + len(logs)).to(logs)
    weights, x = 1 / index, index.log()
    x = x - (weights * x).sum() / weights.sum()
    return -((weights * x * logs).sum() / (weights * x * x).sum()).item()
