# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np


def derive_seed(*parts: int) -> int:
    """Mix integers, such as (run seed, epoch, m), into one 31-bit seed.

    Neighbouring inputs give unrelated seeds, which adding them up would not:
    seed 0 in epoch 1 and seed 1 in epoch 0 must differ. They are not negative,
    and the seed is in [0, 2^31), the range that faiss accepts.
    """
    state = np.random.SeedSequence([int(part) for part in parts])
    return int(state.generate_state(1)[0] & 0x7FFFFFFF)


def hashed_uniform(seed: int, index: np.ndarray, count: int) -> np.ndarray:
    """Draw uniform numbers that depend on the seed and an index alone.

    splitmix64 (Steele, Lea and Flood, OOPSLA 2014) from a state that the
    index chooses: no generator is read or moved. The seed is in [0, 2^63), and
    the index has N non-negative integers, such as of images.

    Returns:
        ndarray: Shape (N, count), float64 in [0, 1).
    """
    step = np.uint64(0x9E3779B97F4A7C15)
    start = _mix(np.asarray(index, np.uint64) * step + np.uint64(seed))
    state = start[:, None] + np.arange(1, count + 1, dtype=np.uint64) * step
    return (_mix(state) >> np.uint64(11)) * 2.0**-53


def _mix(state: np.ndarray) -> np.ndarray:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
