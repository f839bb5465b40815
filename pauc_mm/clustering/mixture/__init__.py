# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Online Gaussian mixtures with diagonal covariances."""

from .online_gaussian_mixture import OnlineGaussianMixture

__all__ = ['OnlineGaussianMixture']
