# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch

from .checks import ArrayLike, as_matrix
from .spectral import rankme_of_spectrum


def lidar(views: ArrayLike, delta: float = 1e-4) -> float:
    r"""Measure LiDAR, the rank of the linear discriminants of images.

    With the q views of an image as a class, the effective rank of

    .. math::
        \Sigma_w^{-1/2} \Sigma_b \Sigma_w^{-1/2},

    where :math:`\Sigma_b` is the covariance of the n means of an image, and
    :math:`\Sigma_w` the mean covariance of its views, plus delta on the
    diagonal (`Thilak et al., 2024 <https://arxiv.org/abs/2312.04000>`_). Axes
    along which views differ as much as images do not count, so noise has no
    high rank, as it has by :func:`rankme`. What the augmentation leaves
    unchanged counts, useful or not. Delta is absolute: compare embeddings of
    one scale, such as l2-normalised ones. The paper takes 1,000 images and 50
    views; few views add :math:`\Sigma_w / q` to :math:`\Sigma_b`.

    Args:
        views (Tensor or ndarray): Shape (n, q, D), any real dtype, at least
            two images and two views.
        delta (float): Added to the diagonal of :math:`\Sigma_w`.

    Returns:
        float: From 1 to min(n - 1, D), but for RankMe's epsilon; 0 if all
        images have one mean.

    Raises:
        ValueError: If the shape is another one, a value is not finite, or
            delta is not positive.
    """
    views = torch.as_tensor(views)
    if views.ndim != 3 or min(views.shape[:2]) < 2:
        raise ValueError(
            'views must have shape (n, q, D) with two images and two views '
            f'or more, got {tuple(views.shape)}.'
        )
    if not delta > 0:
        raise ValueError(f'delta must be greater than 0, got {delta}.')
    number, copies, dim = views.shape
    points = as_matrix(views.flatten(0, 1), 'views').double()
    means = points.view(views.shape).mean(dim=1)
    within = points - means.repeat_interleave(copies, dim=0)
    within = within.T @ within / (number * (copies - 1))
    within.diagonal().add_(delta)
    between = means - means.mean(dim=0)
    # L^-1 of within = L L^T gives the eigenvalues that within^-1/2 gives.
    root = torch.linalg.cholesky(within)
    white = torch.linalg.solve_triangular(root, between.T, upper=False)
    values = torch.linalg.eigvalsh(white @ white.T).clamp_(min=0)
    return rankme_of_spectrum(values)
