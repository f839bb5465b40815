# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""ViT recipes: MoCo v3's backbone and schedule, all else the ResNet's."""

import pytest
from mmengine.config import Config

from tests.test_configs.recipes import MMPRETRAIN, RECIPES, load

VIT = [name for name in RECIPES if '_vit-small-p16_' in name]
MOCOV3 = (
    MMPRETRAIN / 'mocov3/mocov3_vit-small-p16_16xb256-amp-coslr-300e_in1k.py'
)


def resnet(name):
    return load(name.replace('vit-small-p16_8xb128', 'r50_8xb32')).to_dict()


def test_all_four_methods_have_one():
    assert {name.partition('_vit')[0] for name in VIT} == {
        *('pauc', 'pclv2', 'carp', 'carp_decoupled')
    }


@pytest.mark.parametrize('name', VIT)
def test_the_model_is_the_resnets_with_moco_v3s_backbone(name):
    model, base = load(name).model.to_dict(), resnet(name)['model']
    theirs = Config.fromfile(MOCOV3).model.backbone
    assert model.pop('backbone') == theirs.to_dict()
    del base['backbone']
    assert (
        model['neck'].pop('in_channels'),
        base['neck'].pop('in_channels'),
    ) == (384, 2048)
    assert model == base


@pytest.mark.parametrize('name', VIT)
def test_values_of_the_official_readme(name):
    """`-a vit_small -b 1024 --optimizer=adamw --lr=1.5e-4 --weight-decay=.1
    --epochs=300 --warmup-epochs=40 --stop-grad-conv1`, of lr for 256 images.
    """
    cfg = load(name)
    batch = 8 * cfg.train_dataloader.batch_size
    assert batch == cfg.auto_scale_lr.base_batch_size == 1024
    assert cfg.optim_wrapper.to_dict() == dict(
        type='OptimWrapper',
        optimizer=dict(
            type='AdamW', lr=1.5e-4 * batch / 256, weight_decay=0.1
        ),
    )
    theirs = Config.fromfile(MOCOV3)
    assert cfg.param_scheduler == theirs.param_scheduler
    assert cfg.train_cfg.max_epochs == theirs.train_cfg.max_epochs == 300
    assert cfg.param_scheduler[0].end == 40


@pytest.mark.parametrize('name', VIT)
def test_data_and_evaluation_are_the_resnets(name):
    cfg, base = load(name).to_dict(), resnet(name)
    cfg['train_dataloader']['batch_size'] = 32
    if 'clustering' in cfg['default_hooks']:
        assert cfg['default_hooks']['clustering'].pop('warmup_epochs') == 40
        assert base['default_hooks']['clustering'].pop('warmup_epochs') == 20
    changed = ('model', 'optim_wrapper', 'param_scheduler', 'auto_scale_lr')
    for key in (*changed, 'train_cfg'):
        cfg.pop(key), base.pop(key)
    assert cfg == base
