# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Each kind of detector, trained and evaluated by the tool on two images."""

import importlib.util
import sys

import pytest
import torch

pytest.importorskip('mmdet')

from mmengine.config import Config

import pauc_mm.detection
from pauc_mm._requirements import install_argument
from pauc_mm.apis.fine_tune import train_detector

SMALL = """
_base_ = {base!r}
model = dict(
    backbone=dict(depth=18),
    {neck}
    rpn_head=dict(in_channels={rpn}, feat_channels=16),
    roi_head=dict(
        {shared}
        bbox_roi_extractor=dict(out_channels={roi}),
        bbox_head=dict(in_channels={head}, {fc}),
        {mask}
    ),
    train_cfg=dict(
        rpn_proposal=dict(nms_pre=50, max_per_img=20),
        rcnn=dict(sampler=dict(num=16)),
    ),
    test_cfg=dict(
        rpn=dict(nms_pre=50, max_per_img=20),
        rcnn=dict(max_per_img=5, score_thr=0.0),
    ),
)
train_dataloader = dict(batch_size=1, num_workers=0)
val_dataloader = dict(num_workers=0)
test_dataloader = dict(num_workers=0)
default_hooks = dict(
    logger=dict(interval=1), {hooks}
)
"""
FPN = dict(
    neck='neck=dict(in_channels=[64, 128, 256, 512], out_channels=16),',
    rpn=16,
    roi=16,
    head=16,
    fc='fc_out_channels=8',
    shared='',
    hooks='',
)
C4 = dict(
    neck='',
    rpn=256,
    roi=256,
    head=512,
    fc='',
    shared='shared_head=dict(depth=18),',
    hooks='',
)


def resize_to(cfg, side):
    def visit(value):
        if isinstance(value, dict):
            if value.get('type') == 'RandomChoiceResize':
                value['scales'] = [(96, side), (96, side + 16)]
            elif value.get('type') == 'Resize':
                value['scale'] = (96, side)
            value = list(value.values())
        if isinstance(value, (list, tuple)):
            for item in value:
                visit(item)

    visit(cfg._cfg_dict)


@pytest.fixture
def train(tmp_path, monkeypatch, detection_configs, voc_root, coco_root):
    monkeypatch.setenv('VOC_ROOT', str(voc_root))
    monkeypatch.setenv('COCO_ROOT', str(coco_root))
    # yapf takes seconds to lay out a config for the log
    monkeypatch.setattr(Config, 'pretty_text', property(repr))

    def start(name, parts, checkpoint, *options):
        mask = parts.pop('mask', '')
        text = SMALL.format(
            base=str(detection_configs / f'{name}.py'), mask=mask, **parts
        )
        path = tmp_path / f'small_{name}.py'
        path.write_text(text)
        cfg = Config.fromfile(path)
        resize_to(cfg, 64)
        lines = [f'{k} = {v!r}' for k, v in cfg.to_dict().items()]
        path.write_text('\n'.join(lines))
        out = tmp_path / 'run'
        train_detector(
            [str(path), str(checkpoint), '--work-dir', str(out), *options]
        )
        (last,) = (out / 'last_checkpoint').read_text().split()
        return torch.load(last, weights_only=True), next(out.glob('*/*.log'))

    return start


def compare(saved, checkpoint):
    """Names of the backbone's tensors that training changed."""
    before = torch.load(checkpoint, weights_only=True)['state_dict']
    after = saved['state_dict']
    own = [k for k in after if k.startswith('backbone.')]
    assert own and all(after[k].isfinite().all() for k in after)
    return {
        k: not torch.equal(after[k], before[k])
        for k in own
        if not k.endswith('num_batches_tracked')
    }


@pytest.mark.slow
@pytest.mark.parametrize('data', ['voc07', 'voc0712'])
def test_frozen_body_on_voc(train, checkpoint, data):
    name = f'faster-rcnn_r50_fpn_frozen_4xb2-15e_{data}'
    saved, log = train(
        name,
        dict(FPN),
        checkpoint,
        '--cfg-options',
        'train_cfg.max_epochs=1',
        'train_cfg.val_interval=1',
    )
    changed = compare(saved, checkpoint)
    assert len(changed) == 20 * 5 and not any(changed.values())
    assert saved['meta']['iter'] == (2 if data == 'voc07' else 4)
    text = log.read_text()
    assert (
        f'100 of the 100 tensors of model.backbone are in {checkpoint}' in text
    )
    assert 'learning rate of the config is meant for 8' in text
    assert 'pascal_voc/mAP' in text and 'pascal_voc/AP50' in text
    assert 'loss_rpn_bbox' in text and 'loss_bbox' in text


@pytest.mark.slow
def test_c4_on_voc(train, checkpoint):
    parts = dict(C4)
    parts['hooks'] = 'precise_bn=dict(num_samples=2, interval=2),'
    saved, log = train(
        'faster-rcnn_r50-c4_8xb2-24k_voc0712',
        parts,
        checkpoint,
        '--auto-scale-lr',
        '--cfg-options',
        'train_cfg.max_iters=2',
        'train_cfg.val_interval=2',
        'default_hooks.checkpoint.interval=2',
        'param_scheduler.0.start_factor=1.0',
    )
    changed = compare(saved, checkpoint)
    assert len(changed) == 15 * 5  # three stages; the fourth is in the head
    assert all(changed.values())  # weights and statistics of all layers
    text = log.read_text()
    assert '25 of the 29 tensors of model.roi_head.shared_head are in' in text
    assert 'learning rate of the config' not in text
    for metric in ('mAP', 'AP50', 'AP75', 'AP95'):
        assert f'pascal_voc/{metric}' in text
    assert 'BN found, run 2 iters' in text


@pytest.mark.slow
@pytest.mark.parametrize('body', ['c4', 'fpn'])
def test_mask_rcnn_on_coco(train, checkpoint, body):
    if body == 'c4':
        parts = dict(C4, mask='mask_head=dict(in_channels=512),')
        name = 'mask-rcnn_r50-c4_8xb2-1x_coco'
    else:
        parts = dict(
            FPN,
            mask='mask_roi_extractor=dict(out_channels=16), '
            'mask_head=dict(in_channels=16, conv_out_channels=8),',
        )
        name = 'mask-rcnn_r50_fpn_8xb2-2x_coco'
    saved, log = train(
        name,
        parts,
        checkpoint,
        '--cfg-options',
        'train_cfg.max_epochs=1',
        'param_scheduler.0.start_factor=1.0',
        'default_hooks.precise_bn.num_samples=2',
    )
    assert all(compare(saved, checkpoint).values())
    text = log.read_text()
    assert 'loss_mask' in text
    assert 'BN found, run 2 iters' in text
    assert 'coco/bbox_mAP' in text and 'coco/segm_mAP' in text


@pytest.mark.slow
def test_resuming_goes_on(train, checkpoint):
    name = 'faster-rcnn_r50_fpn_frozen_4xb2-15e_voc07'
    short = ['--cfg-options', 'train_cfg.max_epochs=1']
    first, _ = train(name, dict(FPN), checkpoint, *short)
    assert first['meta']['epoch'] == 1
    again = ['--resume', '--cfg-options', 'train_cfg.max_epochs=2']
    second, _ = train(name, dict(FPN), checkpoint, *again)
    assert second['meta']['epoch'] == 2 and second['meta']['iter'] == 4


@pytest.mark.slow
def test_random_weights_are_named_none(train, checkpoint):
    saved, log = train(
        'faster-rcnn_r50_fpn_frozen_4xb2-15e_voc07',
        dict(FPN),
        'none',
        '--cfg-options',
        'train_cfg.max_epochs=1',
    )
    changed = compare(saved, checkpoint)
    assert changed['backbone.conv1.weight']
    assert 'tensors of model.backbone are in' not in log.read_text()


# ---- wrong input ------------------------------------------------------------
@pytest.mark.slow
def test_checkpoint_is_missing(train, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        train(
            'faster-rcnn_r50_fpn_frozen_4xb2-15e_voc07',
            dict(FPN),
            tmp_path / 'no.pth',
        )
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert 'no.pth' in error and '"none" begins with random' in error


@pytest.mark.slow
def test_checkpoint_without_a_backbone(train, tmp_path):
    path = tmp_path / 'head.pth'
    weights = {f'head.fc{i}.weight': torch.zeros(2) for i in range(9)}
    torch.save(dict(state_dict=weights), path)
    with pytest.raises(RuntimeError) as error:
        train('faster-rcnn_r50_fpn_frozen_4xb2-15e_voc07', dict(FPN), path)
    message = str(error.value)
    assert message.startswith('model.backbone.init_cfg: Only 0 of the 100')
    assert (
        'backbone.conv1.weight, backbone.bn1.weight' in message
    )  # what the model has
    assert 'head.fc0.weight, head.fc1.weight' in message  # what it has


@pytest.mark.slow
def test_no_checkpoint_is_an_error_where_the_tool_is_not_used(
    tmp_path, detection_configs, voc_root, monkeypatch
):
    from mmengine.runner import Runner

    monkeypatch.setenv('VOC_ROOT', str(voc_root))
    monkeypatch.setattr(Config, 'pretty_text', property(repr))
    name = 'faster-rcnn_r50_fpn_frozen_4xb2-15e_voc07.py'
    cfg = Config.fromfile(detection_configs / name)
    cfg.work_dir = str(tmp_path)
    cfg.model.backbone.depth = 18
    cfg.model.neck.in_channels = [64, 128, 256, 512]
    cfg.train_dataloader.num_workers = 0
    cfg.train_dataloader.persistent_workers = False
    cfg.val_dataloader.num_workers = 0
    cfg.val_dataloader.persistent_workers = False
    with pytest.raises(
        ValueError, match='model.backbone.init_cfg: checkpoint'
    ):
        Runner.from_cfg(cfg).train()


@pytest.mark.slow
def test_mmdet_is_missing(monkeypatch, capsys, detection_configs):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        'find_spec',
        lambda name, package=None: (
            None if name == 'mmdet' else find_spec(name, package)
        ),
    )
    monkeypatch.delitem(sys.modules, 'pauc_mm.detection')
    monkeypatch.delattr(pauc_mm, 'detection')
    config = detection_configs / 'mask-rcnn_r50-c4_8xb2-1x_coco.py'
    with pytest.raises(SystemExit) as stop:
        train_detector([str(config), 'none'])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert f'pip install {install_argument("mmdet")}' in error
    assert 'bash tools/setup_env.sh detection' in error
