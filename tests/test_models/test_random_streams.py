# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A step draws from generators of its own, never from the global streams.

Seeding them would repeat the augmentations; drawing from them would change
the images with the number of prototypes.
"""

import random

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmpretrain.registry import MODELS

from tests.helpers import images_batch, model_cfg
from tests.test_models.test_carp import carp_cfg
from tests.test_models.test_cld import cld_cfg
from tests.test_models.test_pcl import with_prototypes

ONLINE = dict(type='MixturePrototypes', init_samples=6, eta=0.9)
CONFIGS = dict(
    pcl=lambda: model_cfg('PCL'),
    pauc=lambda: model_cfg('PAUC'),
    online=lambda: model_cfg('PAUC', prototypes=ONLINE),
    cld=cld_cfg,
    carp=carp_cfg,
    decoupled_carp=lambda: carp_cfg(prototypes=dict(ONLINE, init_samples=12)),
)


def streams():
    return (
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        random.getstate(),
    )


@pytest.mark.parametrize('name', CONFIGS)
def test_the_global_streams_stay(name):
    hub = MessageHub.get_instance('test_random_streams')
    hub.update_info('iter', 0)
    hub.update_info('max_iters', 10)
    model = MODELS.build(CONFIGS[name]())
    if name in ('pcl', 'pauc'):
        with_prototypes(model)
    before = streams()
    if hasattr(model, 'seed_negatives'):
        model.seed_negatives(5)
    for seed in range(3):
        batch = images_batch(12, views=3 if name == 'cld' else 2, seed=seed)
        if name in ('pcl', 'pauc'):
            batch['data_samples'] = batch['data_samples'][:6]
            batch['inputs'] = [view[:6] for view in batch['inputs']]
        model.loss(**model.data_preprocessor(batch, training=True))
    assert streams() == before
