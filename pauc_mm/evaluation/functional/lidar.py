# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch

from .checks import ArrayLike, as_matrix
from .spectral import EPSILON, rank_of_spectrum


def lidar(views: ArrayLike, delta: float = 1e-4) -> float:
    r"""Measure LiDAR, the rank of what tells images apart beyond their views.

    The effective rank (with :func:`rankme`'s epsilon) of the eigenvalues of
    :math:`\Sigma_w^{-1/2} \Sigma_b \Sigma_w^{-1/2}`, where :math:`\Sigma_b`
    is the covariance of the mean views of images and :math:`\Sigma_w` the
    mean covariance of the views of an image, plus delta on the diagonal
    (`Thilak et al., 2024 <https://arxiv.org/abs/2312.04000>`_: 1,000 images,
    50 views). What the augmentation leaves unchanged counts, useful or not.
    Delta is absolute: compare embeddings of one scale, such as l2-normalised.
    Few views add :math:`\Sigma_w / q` to :math:`\Sigma_b`.

    Args:
        views (Tensor or ndarray): q views of n images, shape (n, q, D), any
            real dtype; both at least two.
        delta (float): Added to the diagonal of :math:`\Sigma_w`.

    Returns:
        float: From 1 to min(n - 1, D), but for the epsilon; 0 if all images
        have one mean.

    Raises:
        ValueError: If the shape is another one, a value is not finite, or
            delta is not positive.
    """
    views = torch.as_tensor(views)
    if views.ndim != 3 or min(views.shape[:2]) < 2 or not delta > 0:
        raise ValueError(
            'views must have shape (n, q, D) with two images and two views '
            f'or more, and delta be above 0, got {tuple(views.shape)} and '
            f'delta={delta}.'
        )
    number, copies, _ = views.shape
    points = as_matrix(views.flatten(0, 1), 'views').double()
    means = points.view(views.shape).mean(dim=1)
    within = points - means.repeat_interleave(copies, dim=0)
    within = within.T @ within / (number * (copies - 1))
    within.diagonal().add_(delta)
    between = (means - means.mean(dim=0)).T
    # L of within = L L^T whitens as within^1/2 does, but for a rotation.
    root = torch.linalg.cholesky(within)
    white = torch.linalg.solve_triangular(root, between, upper=False)
    values = torch.linalg.eigvalsh(white @ white.T).clamp_(min=0)
    return rank_of_spectrum(values, EPSILON)
