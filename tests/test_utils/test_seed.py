# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np

from pauc_mm.utils.seed import _mix, hashed_uniform


def test_the_hash_is_splitmix64():
    """First values from the state 1234567, as published by Rosetta Code."""
    step = 0x9E3779B97F4A7C15
    states = [(1234567 + k * step) % 2**64 for k in range(1, 6)]
    assert _mix(np.array(states, np.uint64)).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_neighbours_are_unrelated_and_uniform():
    draws = hashed_uniform(5, np.arange(4000), 3)
    assert draws.shape == (4000, 3)
    assert 0 <= draws.min() and draws.max() < 1
    quantiles = np.quantile(draws, np.linspace(0, 1, 11), axis=0)
    assert abs(quantiles - np.linspace(0, 1, 11)[:, None]).max() < 0.03
    others = [draws[:-1], draws[1:], hashed_uniform(6, np.arange(3999), 3)]
    related = np.corrcoef(np.hstack([o[:3999] for o in others]).T)
    assert abs(related - np.eye(9)).max() < 0.07  # 4.4 sigma


def test_a_number_depends_on_seed_index_and_place_alone():
    draws = hashed_uniform(5, np.array([7, 2**40, 0]), 4)
    assert (hashed_uniform(5, np.array([2**40]), 2) == draws[1:2, :2]).all()
    assert len(np.unique(draws)) == 12
