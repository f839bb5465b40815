# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import json
import math

import numpy as np
import pytest
import torch

from experiments.runner.prototype_usage import prototype_usage

EPSILONS = (0.025, 0.1, 0.25, 0.5)


def slowly(prototypes, embeddings, epsilons):
    """The same with a loop for everything, in float64."""

    def cosine(a, b):
        return float(a @ b / np.sqrt((a @ a) * (b @ b)))

    def unique(points):
        shares = []
        for epsilon in epsilons:
            kept = []
            for p in points:
                if all(1 - cosine(p, q) >= epsilon for q in kept):
                    kept.append(p)
            shares.append(len(kept) / len(points))
        return shares

    counts = [0] * len(prototypes)
    for e in embeddings:
        cosines = [cosine(e, p) for p in prototypes]
        counts[cosines.index(max(cosines))] += 1
    shares = [c / len(embeddings) for c in counts if c]
    used = [p for p, c in zip(prototypes, counts) if c]
    return dict(
        prototypes=len(prototypes),
        images=len(embeddings),
        unique=unique(prototypes),
        used=len(used),
        used_share=len(used) / len(prototypes),
        unique_used=unique(used),
        perplexity=math.exp(-sum(s * math.log(s) for s in shares)),
    )


@pytest.mark.parametrize('seed', range(4))
def test_values_are_those_of_slow_loops(seed):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(5, 4))
    # Near copies of five directions, of all lengths
    prototypes = centres[rng.integers(0, 5, 20)]
    prototypes = prototypes + 0.1 * rng.normal(size=(20, 4))
    prototypes *= rng.uniform(0.1, 10, (20, 1))
    embeddings = rng.normal(size=(11, 4)) * rng.uniform(0.1, 9, (11, 1))
    epsilons = EPSILONS[::-1]  # in an order of one's own
    usage = prototype_usage(
        torch.from_numpy(prototypes), torch.from_numpy(embeddings), epsilons
    )
    expected = slowly(prototypes, embeddings, epsilons)
    assert usage.keys() == expected.keys()
    for name, value in expected.items():
        assert usage[name] == pytest.approx(value, rel=1e-6), name
    assert 1 < usage['used'] < 20
    assert usage['unique_used'] != usage['unique']
    json.dumps(usage)


def test_known_cases():
    axes = torch.eye(4)
    # Four prototypes in two places, three images at one of them
    doubled = axes[[0, 1, 0, 1]]
    usage = prototype_usage(doubled, axes[[1, 1, 1]], (0.025,))
    assert usage['unique'] == [0.5] and usage['used'] == 1
    assert usage['unique_used'] == [1.0]
    assert usage['perplexity'] == pytest.approx(1)
    usage = prototype_usage(axes, axes, (0.025, 1.5))
    assert usage['unique'] == [1.0, 0.25]
    assert usage['used'] == 4 and usage['perplexity'] == pytest.approx(4)
    # More images than are compared at once, all but the last alike
    usage = prototype_usage(axes, axes[[0] * 9000 + [1] * 3000], (0.1, 0.1))
    assert usage['images'] == 12000 and usage['used'] == 2
    entropy = 2 * math.log(2) - 0.75 * math.log(3)
    assert usage['perplexity'] == pytest.approx(math.exp(entropy))
    assert usage['unique'] == usage['unique_used'] == [1.0, 1.0]


def test_images_without_a_direction_do_not_vote():
    axes = torch.eye(3)
    some = torch.cat([axes[1:2], torch.zeros(5, 3)])
    usage = prototype_usage(axes, some, (0.1,))
    assert usage['images'] == usage['used'] == 1
    with pytest.raises(ValueError, match='All embeddings are zero'):
        prototype_usage(axes, torch.zeros(2, 3), (0.1,))
    for dim in (2, 4):
        with pytest.raises(ValueError, match=f'dimensions.* 3 and {dim}'):
            prototype_usage(axes, torch.ones(2, dim), (0.1,))
    with pytest.raises(ValueError, match='prototypes must be'):
        prototype_usage(axes[0], axes, (0.1,))
    with pytest.raises(ValueError, match='not finite'):
        prototype_usage(axes, torch.full((2, 3), math.nan), (0.1,))
