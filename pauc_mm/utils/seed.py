# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np


def derive_seed(*parts: int) -> int:
    """Mix integers, such as (run seed, epoch, m), into one 31-bit seed.

    Neighbouring inputs give unrelated seeds, which adding them up would not:
    seed 0 in epoch 1 and seed 1 in epoch 0 must differ.

    Args:
        *parts (int): Non-negative integers.

    Returns:
        int: A seed in [0, 2^31), the range that faiss accepts.
    """
    state = np.random.SeedSequence([int(part) for part in parts])
    return int(state.generate_state(1)[0] & 0x7FFFFFFF)
