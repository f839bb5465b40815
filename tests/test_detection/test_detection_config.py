# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Set a backbone's checkpoint in the config of any detector."""

import pytest
import torch

pytest.importorskip('mmdet')

from mmengine.config import Config

from pauc_mm.apis.fine_tune_config import (
    check_batch_size,
    set_backbone_checkpoint,
    use_plain_norm_on_cpu,
    use_pseudo_collate,
)


@pytest.fixture
def theirs(tmp_path):
    """A config of mmdet's own, as a user has it."""
    path = tmp_path / 'mine.py'
    path.write_text("_base_ = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'")
    return Config.fromfile(path)


def test_a_config_of_mmdet(theirs, checkpoint):
    assert theirs.model.backbone.init_cfg.checkpoint.startswith('torchvision')
    set_backbone_checkpoint(theirs, str(checkpoint))
    assert theirs.model.backbone.init_cfg == dict(
        type='Pretrained', checkpoint=str(checkpoint), prefix='backbone.'
    )
    hooks = theirs.default_hooks
    assert hooks.backbone_check.type == 'mmpretrain.BackboneCheckHook'
    use_pseudo_collate(theirs)
    assert theirs.train_dataloader.collate_fn == dict(type='pseudo_collate')


@pytest.mark.slow
def test_parts_with_the_same_weights(detection_configs, checkpoint):
    name = 'mask-rcnn_r50-c4_8xb2-1x_coco.py'
    cfg = Config.fromfile(detection_configs / name)
    set_backbone_checkpoint(cfg, str(checkpoint))
    head = cfg.model.roi_head.shared_head
    assert head.init_cfg == cfg.model.backbone.init_cfg
    set_backbone_checkpoint(cfg, 'none')
    assert head.init_cfg is None and cfg.model.backbone.init_cfg is None


def test_other_weights_are_left_alone():
    cfg = Config(
        dict(
            model=dict(
                backbone=dict(pretrained='torchvision://resnet50'),
                neck=dict(init_cfg=dict(type='Pretrained', checkpoint='n')),
            )
        )
    )
    set_backbone_checkpoint(cfg, 'https://some.where/a.pth')
    assert cfg.model.backbone == dict(
        init_cfg=dict(
            type='Pretrained',
            checkpoint='https://some.where/a.pth',
            prefix='backbone.',
        )
    )
    assert cfg.model.neck.init_cfg.checkpoint == 'n'


@pytest.mark.parametrize(
    'names, given, expected',
    [
        (['backbone.conv1.weight', 'head.fc.weight'], None, 'backbone.'),
        (['conv1.weight', 'layer1.0.conv1.weight'], None, None),
        (['backbone.conv1.weight'], '', None),
        (['encoder_q.conv1.weight'], 'encoder_q.', 'encoder_q.'),
    ],
)
def test_prefix(tmp_path, names, given, expected):
    path = tmp_path / 'a.pth'
    torch.save({name: torch.zeros(1) for name in names}, path)
    cfg = Config(dict(model=dict(backbone=dict(type='ResNet'))))
    set_backbone_checkpoint(cfg, str(path), given)
    assert cfg.model.backbone.init_cfg.get('prefix') == expected


def test_prefix_of_torchvision():
    cfg = Config(dict(model=dict(backbone=dict(type='ResNet'))))
    set_backbone_checkpoint(cfg, 'torchvision://resnet50')
    assert 'prefix' not in cfg.model.backbone.init_cfg


def test_wrong_input(tmp_path):
    with pytest.raises(ValueError, match='no model.backbone'):
        set_backbone_checkpoint(Config(dict(model=dict(type='x'))), 'none')
    cfg = Config(dict(model=dict(backbone=dict(type='ResNet'))))
    with pytest.raises(FileNotFoundError, match='no.pth'):
        set_backbone_checkpoint(cfg, str(tmp_path / 'no.pth'))


def test_batch_size():
    cfg = Config(
        dict(
            train_dataloader=dict(batch_size=2),
            auto_scale_lr=dict(base_batch_size=16),
        )
    )
    message = check_batch_size(cfg)
    assert 'takes 2 images' in message and 'meant for 16' in message
    assert '--auto-scale-lr' in message
    cfg.auto_scale_lr.enable = True
    assert check_batch_size(cfg) is None
    cfg.auto_scale_lr = dict(base_batch_size=2)
    assert check_batch_size(cfg) is None
    cfg.auto_scale_lr = None
    assert check_batch_size(cfg) is None


@pytest.mark.parametrize(
    'launcher, gpu, kind',
    [
        ('pytorch', False, 'BN'),
        ('pytorch', True, 'SyncBN'),
        ('none', False, 'SyncBN'),
    ],
)
def test_batch_norm_of_several_cpu_processes(monkeypatch, launcher, gpu, kind):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpu)
    norm = dict(type='SyncBN', requires_grad=True)
    parts = dict(backbone=dict(norm_cfg=norm), heads=[dict(norm_cfg=norm)])
    cfg = Config(dict(launcher=launcher, model=parts))
    assert use_plain_norm_on_cpu(cfg) is (kind == 'BN')
    assert cfg.model.backbone.norm_cfg.type == kind
    assert cfg.model.heads[0].norm_cfg == dict(type=kind, requires_grad=True)
