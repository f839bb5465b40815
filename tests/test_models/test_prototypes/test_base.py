# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What prototypes do unless their kind does it otherwise."""

import pytest
import torch
import torch.nn.functional as F

from pauc_mm.models.prototypes import LearnedPrototypes


def test_samples_belong_to_the_nearest_of_each_set():
    torch.manual_seed(0)
    sizes, first = (2, 5), (0, 2)
    prototypes = LearnedPrototypes(sizes, 4, temperature=0.2)
    keys = F.normalize(torch.randn(9, 4), dim=1)
    ids = prototypes.assign(keys, [])
    for m, (k, start) in enumerate(zip(sizes, first)):
        rows = prototypes.weight[start : start + k]
        cosines = F.cosine_similarity(keys[:, None], rows, dim=2)
        assert ids[m].tolist() == cosines.argmax(dim=1).tolist()
        assert torch.equal(prototypes.rows(ids)[m], ids[m] + start)
        part = prototypes.sets()[m].vectors
        torch.testing.assert_close(part, F.normalize(rows.detach(), dim=1))
    assert prototypes.concentrations().tolist() == pytest.approx([0.2] * 7)


def test_learned_prototypes_begin_as_a_linear_layer():
    torch.manual_seed(0)
    weight = LearnedPrototypes([100], 16).weight
    assert 0.24 < weight.abs().max() <= 0.25
    assert weight.std().item() == pytest.approx(0.25 / 3**0.5, rel=0.05)
    half = LearnedPrototypes([3], 4).half()
    assert half.vectors().dtype == torch.float32
