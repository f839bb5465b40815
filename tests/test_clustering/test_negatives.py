# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from pauc_mm.clustering import sample_negative_prototypes


def seeded(seed):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    'num_prototypes, batch, wanted, expected',
    [
        (100, [1, 2, 2, 99], 16, 16),  # plenty
        (20, [0, 1, 2, 3], 16, 16),  # exactly as many as are free
        (20, [0, 1, 2, 3], 500, 16),  # more than there are: all of them
        (3, [0, 1, 2], 8, 0),  # none is free
        (2, [1, 1, 1], 1, 1),  # duplicates take one place
    ],
)
def test_number_and_exclusion(num_prototypes, batch, wanted, expected):
    for seed in range(20):
        ids, mask = sample_negative_prototypes(
            num_prototypes, torch.tensor(batch), wanted, seeded(seed)
        )
        drawn = ids[mask].tolist()
        assert len(drawn) == len(set(drawn)) == expected
        assert not set(drawn) & set(batch)
        assert all(0 <= i < num_prototypes for i in drawn)


@pytest.mark.slow
def test_every_free_prototype_is_equally_likely():
    # The last one, which an off-by-one in the official code never drew,
    # included. 8 of 16 free: each in half of the draws.
    generator = seeded(0)
    batch = torch.tensor([3, 7, 7, 11])
    counts = torch.zeros(19)
    draws = 4000
    for _ in range(draws):
        ids, mask = sample_negative_prototypes(19, batch, 8, generator)
        counts[ids[mask]] += 1
    free = [i for i in range(19) if i not in (3, 7, 11)]
    assert counts[[3, 7, 11]].sum() == 0
    # five standard deviations of a binomial(4000, 0.5)
    assert (counts[free] - draws / 2).abs().max() < 5 * (draws / 4) ** 0.5


def test_seeded_draws_repeat_and_leave_the_global_state_alone():
    batch = torch.tensor([0, 1])
    state = torch.get_rng_state()
    draws = [
        sample_negative_prototypes(50, batch, 8, seeded(4)) for _ in range(2)
    ]
    assert torch.equal(draws[0][0], draws[1][0])
    # the stream that published runs have used
    seed = torch.randint(2**62, (1,), generator=seeded(4)).numpy()
    want = np.random.default_rng(seed).choice(50, 8 + 2, replace=False)
    assert draws[0][0].tolist() == want.tolist()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(4)  # the global stream, unless told otherwise
    same, _ = sample_negative_prototypes(50, batch, 8)
    assert torch.equal(same, draws[0][0])


def test_another_seed_draws_others():
    batch = torch.tensor([0, 1])
    ids = [
        sample_negative_prototypes(50, batch, 8, seeded(seed))[0].tolist()
        for seed in range(4)
    ]
    assert len({tuple(drawn) for drawn in ids}) == 4


def test_the_stream_of_a_seed_stays():
    # As drawn when the results were published, on a CPU.
    ids, mask = sample_negative_prototypes(
        50, torch.tensor([4, 9, 9]), 5, seeded(3)
    )
    assert ids.tolist() == [34, 3, 8, 49, 12, 6, 39, 30]
    assert mask.tolist() == [True] * 5 + [False] * 3
