# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The names beside the points of the picture."""

import numpy as np
import pytest
from scipy.optimize import minimize

from experiments.comparison.accuracy_plot import _LINE, _spread


def test_names_that_fit_stay():
    heights = [0.1, 0.3, 0.9]

    assert _spread(heights) == pytest.approx(heights)


@pytest.mark.parametrize('seed', range(3))
def test_names_move_the_least_that_keeps_them_apart(seed):
    heights = sorted(np.random.default_rng(seed).uniform(0.2, 0.6, 9))
    # The same problem, solved as a quadratic program with its constraints.
    reference = minimize(
        lambda moved: np.sum((moved - heights) ** 2),
        np.linspace(0, 1, 9),
        method='SLSQP',
        bounds=[(0, 1)] * 9,
        constraints={
            'type': 'ineq',
            'fun': lambda moved: np.diff(moved) - _LINE,
        },
        options={'ftol': 1e-12, 'maxiter': 500},
    )

    assert reference.success
    assert _spread(heights) == pytest.approx(reference.x, abs=1e-4)


@pytest.mark.parametrize('number', [1, 2, 31])
@pytest.mark.parametrize('height', [0.0, 0.5, 1.0])
def test_any_number_of_names_stays_beside_the_panel(number, height):
    moved = np.array(_spread([height] * number))

    assert moved.min() >= -1e-9 and moved.max() <= 1 + 1e-9
    assert np.all(np.diff(moved) >= min(_LINE, 1 / max(number - 1, 1)) - 1e-9)
