# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Small detectors on scenes of digits."""

from pathlib import Path

import pytest
import torch

pytest.importorskip('mmdet')

from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope

from pauc_mm.apis.fine_tune import train_detector

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs/benchmarks/detection'
DETECTORS = ['faster-rcnn', 'mask-rcnn']


@pytest.fixture
def train(scenes, quick, tmp_path, monkeypatch):
    monkeypatch.setenv('DIGIT_SCENES_ROOT', str(scenes))

    def start(detector, checkpoint, *options):
        config = CONFIGS / f'{detector}_tiny_digits.py'
        out = tmp_path / 'run'
        train_detector(
            [str(config), str(checkpoint), '--work-dir', str(out)]
            + ['--cfg-options', *quick, *options]
        )
        saved = torch.load(out / 'epoch_1.pth', weights_only=True)
        return saved['state_dict'], next(out.glob('*/*.log')).read_text()

    return start


def changed(state, checkpoint):
    before = torch.load(checkpoint, weights_only=True)['state_dict']
    return {
        k: not torch.equal(v, before[k])
        for k, v in state.items()
        if k.startswith('backbone.') and not k.endswith('batches_tracked')
    }


@pytest.mark.slow
@pytest.mark.parametrize('detector', DETECTORS)
def test_frozen_backbone(train, tiny_checkpoint, detector):
    state, log = train(
        detector, tiny_checkpoint, 'model.backbone.frozen_stages=3'
    )
    found = changed(state, tiny_checkpoint)
    assert len(found) == 3 * 5
    for name, differs in found.items():
        # The statistics of the scenes, with the weights of the checkpoint.
        assert differs == ('running' in name), name
    assert '15 of the 15 tensors of model.backbone are in' in log
    assert 'coco/bbox_mAP' in log and 'meant for 8' in log
    assert ('coco/segm_mAP' in log) == (detector == 'mask-rcnn')
    assert ('loss_mask' in log) == (detector == 'mask-rcnn')


@pytest.mark.slow
def test_trained_backbone(train, tiny_checkpoint):
    state, _ = train('faster-rcnn', tiny_checkpoint)
    assert all(changed(state, tiny_checkpoint).values())


@pytest.mark.slow
def test_random_weights(train, tiny_checkpoint):
    state, log = train('faster-rcnn', 'none', 'model.backbone.frozen_stages=3')
    assert changed(state, tiny_checkpoint)['backbone.layers.0.conv.weight']
    assert 'tensors of model.backbone are in' not in log


@pytest.mark.slow
@pytest.mark.parametrize('detector', DETECTORS)
def test_config(detector, monkeypatch):
    monkeypatch.delenv('DIGIT_SCENES_ROOT', raising=False)
    cfg = Config.fromfile(CONFIGS / f'{detector}_tiny_digits.py')
    pretraining = Config.fromfile(ROOT / 'configs/pauc/pauc_tiny_mnist.py')
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    # What the encoder saw, and what it is.
    theirs = pretraining.data_preprocessor
    mine = cfg.model.data_preprocessor
    assert (mine.mean, mine.std) == (theirs.mean, theirs.std)
    own = pretraining.model.backbone
    for key in ('channels', 'strides'):
        assert cfg.model.backbone[key] == own[key]
    assert model.backbone.init_cfg['checkpoint'] == ''
    # Strides of the anchors and of the regions are those of the maps.
    with torch.no_grad():
        maps = model.extract_feat(torch.zeros(1, 3, 128, 128))
    strides = [128 // m.shape[-1] for m in maps]
    assert strides == cfg.model.rpn_head.anchor_generator.strides
    head = cfg.model.roi_head
    names = ['bbox_roi_extractor']
    names += ['mask_roi_extractor'] if detector == 'mask-rcnn' else []
    for name in names:
        assert head[name].featmap_strides == strides[:2]
    root = 'data/digit_scenes'
    assert cfg.train_dataloader.dataset.data_root == root
    assert cfg.val_evaluator.ann_file.startswith(root)
    # A mirrored digit is another.
    assert 'Flip' not in str(cfg.train_dataloader.dataset.pipeline)
    assert cfg.train_dataloader.batch_size == 8
