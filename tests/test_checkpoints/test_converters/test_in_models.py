# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Converted files where users name them: init_cfg of a backbone."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

from pauc_mm.checkpoints.weights import (
    matching_names,
    read_weights,
    shapes,
)
from tests.helpers import load_encoder
from tests.test_checkpoints.source_models import images, without_fc
from tests.test_checkpoints.test_converters.helpers import body

if find_spec('mmdet'):  # before a test imports a part of it
    import pauc_mm.detection  # noqa: F401

DETECTION = Path(__file__).parents[3] / 'configs/benchmarks/detection'
pytestmark = pytest.mark.slow


def check(backbone, source, path):
    """All names fit, and init_weights loads all values."""
    weights = read_weights(str(path), 'backbone.')
    names = matching_names(dict(backbone=backbone), weights, str(path), 1.0)
    assert set(names['backbone']) == set(shapes(backbone))
    backbone.init_weights()
    state = backbone.state_dict()
    expected = body(source)
    assert set(state) == set(expected)
    for key, value in expected.items():
        assert torch.equal(state[key], value), key


def test_classifier_of_mmpretrain(r50):
    source, path = r50
    init = dict(type='Pretrained', checkpoint=str(path), prefix='backbone.')
    model = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(type='ResNet', depth=50, init_cfg=init),
            neck=dict(type='GlobalAveragePooling'),
        )
    )
    check(model.backbone, source, path)
    model.eval()
    with torch.no_grad():
        features = model.extract_feat(images(size=64))[-1]
    expected = without_fc(source, images(size=64))
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-5)


def test_detector_of_mmdet(r50):
    pytest.importorskip('mmdet')
    from mmdet.registry import MODELS

    source, path = r50
    init_default_scope('mmdet')
    cfg = Config.fromfile(
        DETECTION / 'faster-rcnn_r50_fpn_frozen_4xb2-15e_voc07.py'
    )
    cfg.model.backbone.init_cfg.checkpoint = str(path)
    try:
        model = MODELS.build(cfg.model)
        check(model.backbone, source, path)
    finally:
        init_default_scope('mmpretrain')
    batch = images(size=64)
    model.eval()
    with torch.no_grad():
        last = model.backbone(batch)[-1].mean((2, 3))
    expected = without_fc(source, batch)
    torch.testing.assert_close(last, expected, rtol=1e-5, atol=1e-5)


def test_diagnosis(r50):
    source, path = r50
    encoder = load_encoder(path)
    assert encoder.layout == 'mmpretrain ResNet-50'
    got = encoder.embed(images(size=64))[0]
    expected = without_fc(source, images(size=64))
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
