# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Optimal transport between sets of points; unsolved is an error."""

import itertools
import warnings
from multiprocessing.pool import ThreadPool
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pauc_mm.utils.require import require

# Largest l1 error of a plan's marginals. Unit vectors are at most 2 apart, so
# a cost changes by about the same amount at most.
_EXACT_TOLERANCE = 1e-9
_SINKHORN_TOLERANCE = 1e-4

# Squared distances above this have about 13 digits when computed as
# 2 - 2 x.y.
_CLOSE = 1e-3

# Distances computed at once: 2 MiB.
_BATCH_ENTRIES = 2**18


class Problem(NamedTuple):
    """One transport problem: two groups and the rows drawn from each."""

    groups: tuple
    rows: tuple

    def fail(self, solver: str, reason: str) -> RuntimeError:
        return RuntimeError(
            f'NEMD: the {solver} solver failed between groups '
            f'{self.groups[0]} and {self.groups[1]} ({len(self.rows[0])} and '
            f'{len(self.rows[1])} members): {reason}.'
        )


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Return the distances of unit vectors, (..., n, D) and (..., m, D)."""
    squares = 2 - 2 * x @ y.mT
    if squares.min() > _CLOSE:
        return squares.sqrt_()
    # From differences, which takes ten times as long: the dot products leave
    # about 1e-8 between identical points instead of 0.
    return torch.cdist(x, y, compute_mode='donot_use_mm_for_euclid_dist')


def solve_exact(points: Tensor, problems: list[Problem]) -> Tensor:
    """Return the exact costs, shape (P,), float64.

    The solvers run in as many threads as torch uses.
    """
    shapes = [tuple(len(rows) for rows in p.rows) for p in problems]
    order = sorted(range(len(problems)), key=shapes.__getitem__)
    costs = torch.empty(len(problems), dtype=torch.float64)
    with (
        warnings.catch_warnings(),
        ThreadPool(torch.get_num_threads()) as pool,
    ):
        # POT's log repeats its warnings, and those are raised.
        warnings.simplefilter('ignore')
        for shape, group in itertools.groupby(order, key=shapes.__getitem__):
            same = list(group)
            step = max(1, _BATCH_ENTRIES // (shape[0] * shape[1]))
            for start in range(0, len(same), step):
                chosen = same[start : start + step]
                batch = [problems[i] for i in chosen]
                x, y = (
                    torch.stack(rows) for rows in zip(*[p.rows for p in batch])
                )
                distances = _distances(points[x], points[y]).numpy()
                solved = pool.starmap(_solve_exact, zip(distances, batch))
                costs[chosen] = torch.tensor(solved, dtype=torch.float64)
    return costs


def _solve_exact(cost: np.ndarray, problem: Problem) -> float:
    if len(cost) == cost.shape[1]:
        # Between groups of equal size some optimal plan is a matching
        # (Birkhoff and von Neumann). Its solver takes a fraction of the time
        # and lets other threads run.
        optimize = require('scipy.optimize', 'scipy', 'NEMD')
        return cost[optimize.linear_sum_assignment(cost)].mean()
    ot = require('ot', 'POT', 'NEMD')
    a, b = (np.full(n, 1 / n) for n in cost.shape)
    _, log = ot.emd2(
        a, b, cost, numItermax=1000000, log=True, return_matrix=True
    )
    if log['warning'] is not None:
        raise problem.fail('emd', str(log['warning']))
    plan = log['G']
    error = abs(plan.sum(1) - a).sum() + abs(plan.sum(0) - b).sum()
    if not error <= _EXACT_TOLERANCE:
        raise problem.fail('emd', f'its plan misses marginals by {error}')
    return (plan * cost).sum()


def solve_sinkhorn(
    points: Tensor,
    problems: list[Problem],
    reg: float,
    max_iter: int,
    batch_size: int,
) -> Tensor:
    """Return the costs <plan, distance> of Sinkhorn, shape (P,), float64."""
    batch_module = require('ot.batch', '"POT>=0.9.6"', "NEMD's Sinkhorn")
    costs = []
    for start in range(0, len(problems), batch_size):
        batch = problems[start : start + batch_size]
        x, a = _pad([p.rows[0] for p in batch], points)
        y, b = _pad([p.rows[1] for p in batch], points)
        cost = _distances(x, y)
        plan = batch_module.solve_batch(
            cost,
            reg,
            a=a,
            b=b,
            max_iter=max_iter,
            # The solver bounds the l2 norm, which is at least l1 / sqrt(n).
            tol=_SINKHORN_TOLERANCE / (2 * max(cost.shape[1:]) ** 0.5),
            method='log_sinkhorn',
            grad='detach',
        ).plan
        error = (plan.sum(2) - a).abs().sum(1) + (plan.sum(1) - b).abs().sum(1)
        failed = torch.nonzero(~(error <= _SINKHORN_TOLERANCE)).flatten()
        if len(failed):
            worst = int(failed[0])
            raise batch[worst].fail(
                'sinkhorn',
                f'its plan misses marginals by {error[worst].item():.3g} '
                f"after {max_iter} iterations at reg={reg}. Use solver='emd', "
                'a larger reg or a larger max_iter',
            )
        costs.append((plan * cost).sum((1, 2)).cpu())
    return torch.cat(costs)


def _pad(rows: list[Tensor], points: Tensor) -> tuple:
    """Return points (B, n, D) and weights (B, n), 0 where padded."""
    sizes = torch.tensor([len(r) for r in rows])
    index = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    weights = 1 / sizes.double()[:, None].expand(index.shape)
    padded = torch.arange(index.shape[1]) >= sizes[:, None]
    weights = weights.masked_fill(padded, 0).to(points.device)
    return points[index.to(points.device)], weights
