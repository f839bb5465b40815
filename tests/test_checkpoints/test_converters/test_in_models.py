# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Converted files where users name them: init_cfg of a backbone."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.models.backbones import VisionTransformer
from mmpretrain.registry import MODELS

from pauc_mm.checkpoints.weights import (
    matching_names,
    read_weights,
    shapes,
)
from tests.helpers import load_encoder
from tests.test_checkpoints.source_models import images, without_fc
from tests.test_checkpoints.test_converters.helpers import body, saved

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


def test_a_vit_under_a_detector(tmp_path):
    """All of it is loaded, positions interpolated, and learns."""
    pytest.importorskip('mmdet')
    from mmdet.registry import MODELS as DETECTORS
    from mmdet.testing import demo_mm_inputs

    cfg = Config.fromfile(DETECTION / 'faster-rcnn_tiny-vit_digits.py').model
    options = dict(cfg.backbone, img_size=32, out_type='cls_token')
    del options['init_cfg'], options['type']
    torch.manual_seed(0)
    source = VisionTransformer(**options)
    source.init_weights()
    state = {f'backbone.{k}': v for k, v in source.state_dict().items()}
    path = saved(tmp_path, dict(meta={}, state_dict=state))
    cfg.backbone.init_cfg.checkpoint = str(path)
    init_default_scope('mmdet')
    try:
        model = DETECTORS.build(cfg)
        model.init_weights()
    finally:
        init_default_scope('mmpretrain')
    names = [k for k in source.state_dict() if k != 'pos_embed']
    own = model.backbone.state_dict()
    assert all(torch.equal(own[k], source.state_dict()[k]) for k in names)
    assert own['pos_embed'].shape == (1, 1 + 16 * 16, 96)
    inputs = demo_mm_inputs(2, [(3, 128, 128)] * 2, num_classes=10)
    data = model.data_preprocessor(inputs, training=True)
    losses = model.loss(data['inputs'], data['data_samples'])
    sum(sum(x) for k, x in losses.items() if 'rpn' in k).backward()
    assert all(p.grad is not None for p in model.backbone.parameters())
