# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Augmentation of a batch on a GPU that is not there."""

import torch
from mmengine.logging import MessageHub
from mmpretrain.registry import MODELS

from tests.helpers import images_batch
from tests.test_models.test_device_augmentation import COLOURS, NORM

LOADING = {
    'mmengine/model/base_model/data_preprocessor.py',
    'mmengine/structures/base_data_element.py',
}


def test_it_equals_the_cpus_and_waits_for_the_images_alone(computing_gpu):
    from mmcv.transforms import Compose

    MessageHub.get_current_instance().update_info('epoch', 0)
    cfg = dict(type='DeviceAugmentation', **NORM)
    transforms = Compose(COLOURS).transforms
    batch, results = images_batch(num=12), []
    for device in ('cpu', 'cuda'):
        part = MODELS.build(cfg).to(device)
        part.views = [transforms] * 2
        part.seed_run(3)
        computing_gpu.waits.clear()
        results.append(part(dict(batch), training=True)['inputs'])
    assert set(computing_gpu.waits) <= LOADING
    for want, got in zip(*results):
        assert got.device.type == 'cuda'
        torch.testing.assert_close(got.cpu(), want)
