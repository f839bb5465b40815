# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Options reach what they are for, with a value that is no default."""

import copy

import pytest
import torch
from mmengine.logging import MessageHub
from mmpretrain.registry import MODELS

from tests.helpers import advance, apart
from tests.test_models.test_random_streams import CONFIGS


@pytest.mark.parametrize('name', CONFIGS)
def test_options_of_the_base_classes_reach_them(name):
    changes = dict(
        data_preprocessor=dict(
            type='SelfSupDataPreprocessor', mean=[1, 2, 3], std=[4, 5, 6]
        ),
        init_cfg=dict(type='Normal', layer='Linear', std=0.5),
    )
    model = MODELS.build(CONFIGS[name]() | changes)
    assert model.data_preprocessor.mean.flatten().tolist() == [1, 2, 3]
    assert model.data_preprocessor.std.flatten().tolist() == [4, 5, 6]
    assert model.init_cfg == changes['init_cfg']


@pytest.mark.parametrize('name', CONFIGS)
def test_the_momentum_of_the_model_is_the_step_of_its_copies(name):
    hub = MessageHub.get_instance('test_options')
    hub.update_info('iter', 0)  # where CARP's cosine begins
    hub.update_info('max_iters', 10)
    model = apart(MODELS.build(CONFIGS[name]() | dict(momentum=0.2)))
    before = copy.deepcopy(model)
    advance(model)
    pairs = [
        (model.encoder_k.module[i], before.encoder_k.module[i], part)
        for i, part in enumerate((before.backbone, before.neck))
    ]
    if name == 'carp':
        copies = model.prototypes_k.module, before.prototypes_k.module
        pairs.append((*copies, before.prototypes))
    for parts in pairs:
        for new, old, query in zip(*(part.parameters() for part in parts)):
            assert not torch.equal(old, query)
            torch.testing.assert_close(new, torch.lerp(old, query, 0.2))
