# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""torch.compile gives the losses, gradients and queue of the plain model."""

import copy

import pytest
import torch
from mmpretrain.registry import MODELS

from tests.helpers import images_batch, model_cfg
from tests.test_models.test_pcl import with_prototypes

# All of inductor but the compilation of its kernels, which takes minutes.
BACKEND = 'aot_eager_decomp_partition'
STEPS = 8


def train(model, forward):
    """Losses of each step, and how many frames were compiled by then."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.manual_seed(1)
    history, frames = [], []
    for seed in range(STEPS):
        batch = images_batch(seed=seed)
        for sample in batch['data_samples']:
            place = (sample.sample_idx + seed) % 6
            sample.set_metainfo(dict(sample_idx=place))
        data = model.data_preprocessor(batch, training=True)
        optimizer.zero_grad()
        losses = forward(**data, mode='loss')
        sum(v for k, v in losses.items() if 'loss' in k).backward()
        optimizer.step()
        history.append({k: v.item() for k, v in losses.items()})
        frames.append(torch._dynamo.utils.counters['frames']['total'])
    return history, frames


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')  # torch's own, about its internals
def test_compiled_agrees_with_eager():
    torch.manual_seed(0)
    plain = with_prototypes(MODELS.build(model_cfg('PAUC')))
    compiled = copy.deepcopy(plain)
    want, _ = train(plain, plain.forward)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    step = torch.compile(compiled.forward, backend=BACKEND)
    got, frames = train(compiled, step)
    for a, b in zip(want, got):
        assert b == pytest.approx(a, rel=1e-3, abs=1e-5)
    # The first steps differ: no keys for the queue, an encoder that starts.
    assert frames[3] == frames[-1], 'compiles anew in each step'
    theirs = compiled.state_dict()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-2, atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore')  # torch's own, about its internals
def test_new_numbers_of_clusters_soon_compile_nothing():
    """k-means may leave clusters empty, so K differs between E-steps."""
    torch.manual_seed(0)
    model = with_prototypes(MODELS.build(model_cfg('PAUC')))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    forward = torch.compile(model.forward, backend=BACKEND)
    counts = []
    for larger in range(5):
        model.num_clusters = tuple(k + larger for k in (4, 6))
        with_prototypes(model, seed=larger)
        _, frames = train(model, forward)
        counts.append(frames[-1])
    # The first change makes sizes dynamic.
    assert counts[2:] == [counts[2]] * 3
