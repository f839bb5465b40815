# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Arithmetic of an online EM for Gaussians with diagonal covariances.

A diagonal Gaussian is an exponential family with the sufficient statistics
(1, h, h^2). With them side by side in one matrix, the log-densities of the
E-step are one matrix product and the sums of the M-step are another.
"""

import math

import torch
import torch.nn.functional as F

TINY = 1e-30  # floor of logarithms and quotients


def inverse_temperature(
    step: torch.Tensor, start: float, steps: int
) -> torch.Tensor:
    """Return the exponent b of deterministic annealing, rising to 1.

    Geometric, as in Ueda and Nakano, *Deterministic annealing EM algorithm*
    (1998): equal steps in log b from ``start`` until update ``steps``; 0 is
    b = 1 from the beginning.
    """
    left = 1 - (step / steps).clamp(max=1) if steps else step * 0
    return torch.exp(math.log(start) * left)


def sufficient_statistics(embeddings: torch.Tensor) -> torch.Tensor:
    """Return 1, h and h^2 of embeddings h (N, D), shape (N, 1 + 2 D)."""
    ones = torch.ones_like(embeddings[:, :1])
    return torch.cat([ones, embeddings, embeddings.square()], dim=1)


def natural_parameters(
    means: torch.Tensor, variances: torch.Tensor, log_weights: torch.Tensor
) -> torch.Tensor:
    """Return the factors of the sufficient statistics.

    From means and variances (K, D) and log_weights (K,), shape (K, 1 + 2 D):
    ``sufficient_statistics(h) @ natural_parameters(...).T`` is
    log pi_k + log N(h_i; mu_k, Sigma_k).
    """
    dim = means.shape[1]
    result = means.new_empty(len(means), 1 + 2 * dim)
    linear, square = result[:, 1 : 1 + dim], result[:, 1 + dim :]
    torch.div(means, variances, out=linear)
    torch.div(-0.5, variances, out=square)
    energy = (linear * means).sum(dim=1)
    energy += variances.log().sum(dim=1)
    result[:, 0] = log_weights - (energy + dim * math.log(2 * math.pi)) / 2
    return result


def exponential_(values: torch.Tensor) -> torch.Tensor:
    """Compute the exponential in place, but 0 below ``TINY``.

    Most responsibilities are close to 0, and on CPUs what underflows takes
    10 to 100 times as long.
    """
    least = math.log(TINY)
    values.clamp_min_(least - 1).exp_()
    return F.threshold(values, TINY, 0, inplace=True)


def log_sum_exp(values: torch.Tensor) -> torch.Tensor:
    """Return the log-sum-exp of rows (N, K'), without underflow, (N, 1)."""
    largest = values.amax(dim=1, keepdim=True)
    return largest + exponential_(values - largest).sum(1, keepdim=True).log()


def forgetting(
    received: torch.Tensor, eta: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the share f of a component's statistics that remains.

    The rule of Celaya and Agostini (*Online EM with weight-based forgetting*,
    2015) for a batch: f_k = eta^w_k, and the new mean of each statistic
    weighs (1 - f_k) / (1 - eta), which is w_k as long as that is small.
    Forgetting by time instead, eta^(N / K), loses rare components. From w,
    the sums of the responsibilities, to f and the weights, all (K',).
    """
    exponents = math.log(eta) * received
    return exponents.exp(), torch.expm1(exponents) / (eta - 1)


def merge(
    state: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    sums: torch.Tensor,
    keep: torch.Tensor,
    weight: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute S <- f S + weight * (batch mean), with S as mean and variance.

    The statistics are S = mass * (1, mu, Sigma + mu^2). In this form no
    digits are lost, and a component without mass still has its mean.

    Args:
        state (tuple[Tensor, Tensor, Tensor]): mass (K',), mu and Sigma
            (K', D) before; afterwards they are returned.
        sums (Tensor): Responsibilities times sufficient statistics, summed
            over the samples of all ranks, shape (K', 1 + 2 D).
        keep (Tensor): f, shape (K',).
        weight (Tensor): Weight of the batch mean, shape (K',).
    """
    mass, means, variances = state
    dim = means.shape[1]
    received = sums[:, :1].clamp_min(TINY)
    new_means = sums[:, 1 : 1 + dim] / received
    within = sums[:, 1 + dim :] / received
    within -= new_means.square()
    within.clamp_min_(0)  # what rounding leaves below
    mass = keep * mass + weight
    rate = (weight / mass.clamp_min(TINY))[:, None]
    step = new_means.sub_(means)
    # The law of total variance for two groups of shares 1 - rate and rate.
    within += (1 - rate) * step.square()
    return mass, means + rate * step, torch.lerp(variances, within, rate)
