# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Each recipe, trained and evaluated by the tool on a few images."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from pauc_mm.apis import draw_subset
from pauc_mm.apis.fine_tune import train_classifier
from pauc_mm.apis.train import main as train_main

REPOSITORY = Path(__file__).parents[3]
CONFIGS = REPOSITORY / 'configs/benchmarks'
SMALL = """
_base_ = {base!r}
model = dict(backbone=dict(depth=18), head=dict(in_channels={width}))
train_dataloader = dict(batch_size={batch}, num_workers=0)
val_dataloader = dict(batch_size=2, num_workers=0)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=1, val_interval=1)
default_hooks = dict(logger=dict(interval=1))
"""


@pytest.fixture
def train(tmp_path, monkeypatch, roots):
    # yapf takes seconds to lay out a config for the log
    monkeypatch.setattr(Config, 'pretty_text', property(repr))

    def start(name, checkpoint, *options):
        path = CONFIGS / f'{name}.py'
        if 'tiny' not in name:
            width = 512 * 4 if 'places' in name else 512
            text = SMALL.format(base=str(path), width=width, batch=2)
            path = tmp_path / f'small_{path.name}'
            path.write_text(text)
        out = tmp_path / 'run'
        train_classifier(
            [str(path), str(checkpoint), '--work-dir', str(out), *options]
        )
        (last,) = (out / 'last_checkpoint').read_text().split()
        log = max(out.glob('*/*.log')).read_text()
        scalars = max(out.glob('*/vis_data/scalars.json')).read_text()
        lines = [json.loads(line) for line in scalars.splitlines()]
        return torch.load(last, weights_only=True), log, lines

    return start


def changed(saved, checkpoint):
    """Names of the backbone's tensors that training changed."""
    before = torch.load(checkpoint, weights_only=True)['state_dict']
    after = saved['state_dict']
    assert all(after[k].isfinite().all() for k in after)
    names = [k for k in after if k.startswith('backbone.')]
    assert names and set(names) <= set(before)
    return {k: not torch.equal(after[k], before[k]) for k in names}


@pytest.mark.slow
@pytest.mark.parametrize(
    'name, metric',
    [
        ('resnet50_8xb32-linear-moco-100e_in1k', 'accuracy/top5'),
        ('resnet50_8xb32-linear-pcl-100e_in100', 'accuracy/top1'),
        ('resnet50_8xb32-linear-pcl-40e_places205', 'accuracy/top1'),
        ('resnet50_8xb32-linear-100e_voc07', 'multi-label/mAP'),
    ],
)
def test_linear(train, resnet18, name, metric):
    options = []
    if 'in100' in name:  # only two of its class folders are there
        options = ['--cfg-options'] + [
            f'{split}_dataloader.dataset.ann_file=meta/{split}.txt'
            for split in ('train', 'val')
        ]
    saved, log, scalars = train(f'linear/{name}', resnet18, *options)
    # Neither weights nor statistics, nor the count of batches.
    found = changed(saved, resnet18)
    assert len(found) == 20 * 6 and not any(found.values())
    assert saved['state_dict']['head.fc.bias'].abs().sum() > 0
    assert f'100 of the 100 tensors of model.backbone are in {resnet18}' in log
    assert 'learning rate of the config is meant for 256' in log
    assert [line for line in scalars if metric in line]


@pytest.mark.slow
def test_semi(train, resnet18, imagenet_root):
    out = imagenet_root / 'meta/semi_10percent.txt'
    # of 4 images a class 10% is one
    draw_subset.main(
        [str(imagenet_root / 'train'), '--fraction', '0.1', '--out', str(out)]
    )
    assert len(out.read_text().splitlines()) == 2
    saved, log, scalars = train(
        'semi/resnet50_8xb32-semi-pcl-20e_in1k-10percent', resnet18
    )
    assert saved['meta']['iter'] == 1
    assert all(changed(saved, resnet18).values())
    assert scalars[0]['base_lr'] == 0.01
    rates = {g['lr'] for g in saved['optimizer']['param_groups']}
    assert rates == {0.01, 0.1}
    assert [line for line in scalars if 'accuracy/top5' in line]


@pytest.mark.slow
def test_linear_on_digits(train, tiny):
    """The recipe finds what scikit-learn finds in the same features."""
    linear_model = pytest.importorskip('sklearn.linear_model')
    from pauc_mm.datasets import SklearnDigits

    saved, log, scalars = train('linear/tiny_digits', tiny)
    assert not any(changed(saved, tiny).values())
    (accuracy,) = [
        line['accuracy/top1']
        for line in scalars
        if line.get('accuracy/top1') and line['step'] == 20
    ]

    from mmpretrain.registry import MODELS

    cfg = Config.fromfile(CONFIGS / 'linear/tiny_digits.py').model.backbone
    backbone = MODELS.build({**cfg, 'init_cfg': None}).eval()
    state = torch.load(tiny, weights_only=True)['state_dict']
    backbone.load_state_dict(
        {k[9:]: v for k, v in state.items() if k.startswith('backbone.')}
    )
    features, labels = [], []
    for split in ('train', 'test'):
        data = SklearnDigits(split=split)
        x = np.stack([data[i]['img'] for i in range(len(data))])
        x = (torch.from_numpy(x).permute(0, 3, 1, 2) - 127.5) / 127.5
        with torch.no_grad():
            features.append(backbone(x)[0].mean((2, 3)).numpy())
        labels.append(data.get_gt_labels())
    reference = linear_model.LogisticRegression(C=1e3, max_iter=2000)
    score = 100 * reference.fit(features[0], labels[0]).score(
        features[1], labels[1]
    )
    assert score > 90
    assert accuracy == pytest.approx(score, abs=3)


@pytest.mark.slow
def test_semi_on_digits(train, tiny):
    saved, log, scalars = train('semi/tiny_digits_10percent', tiny)
    assert saved['meta']['iter'] == 20 * 5  # 145 images in batches of 32
    assert all(changed(saved, tiny).values())
    last = [line for line in scalars if 'accuracy/top1' in line][-1]
    assert last['accuracy/top1'] > 40  # of 10 classes, on random features


@pytest.mark.slow
def test_random_weights_are_named_none(train):
    _, log, _ = train(
        'linear/tiny_digits',
        'none',
        '--cfg-options',
        'train_cfg.max_epochs=1',
        'train_cfg.val_interval=1',
    )
    assert 'tensors of model.backbone are in' not in log


# ---- wrong input ------------------------------------------------------------
@pytest.mark.slow
def test_checkpoint_is_missing(train, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        train('linear/tiny_digits', tmp_path / 'no.pth')
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert 'no.pth' in error and '"none" begins with random' in error


@pytest.mark.slow
@pytest.mark.parametrize(
    'name', ['linear/tiny_digits', 'semi/tiny_digits_10percent']
)
def test_checkpoint_without_a_backbone(train, tmp_path, name):
    path = tmp_path / 'head.pth'
    weights = {f'head.fc{i}.weight': torch.zeros(2) for i in range(9)}
    torch.save(dict(state_dict=weights), path)
    with pytest.raises(RuntimeError) as error:
        train(name, path)
    message = str(error.value)
    assert message.startswith('model.backbone.init_cfg: Only 0 of the 15')
    assert 'backbone.layers.0.conv.weight' in message
    assert 'head.fc0.weight, head.fc1.weight' in message


@pytest.mark.slow
def test_checkpoint_of_another_backbone(train, resnet18):
    with pytest.raises(RuntimeError, match='Only 0 of the 15 tensors'):
        train('linear/tiny_digits', resnet18)


@pytest.mark.slow
def test_no_checkpoint_is_an_error_where_the_tool_is_not_used(tmp_path):
    with pytest.raises(ValueError, match='init_cfg: checkpoint is not set'):
        train_main(
            [
                str(CONFIGS / 'linear/tiny_digits.py'),
                '--work-dir',
                str(tmp_path),
            ]
        )


@pytest.mark.slow
def test_list_is_missing(train, resnet18):
    with pytest.raises(FileNotFoundError) as error:
        train('semi/resnet50_8xb32-semi-pcl-20e_in1k-1percent', resnet18)
    message = str(error.value)
    assert message.startswith('train_dataloader.dataset.ann_file: there is no')
    assert 'semi_1percent.txt' in message and 'draw_subset.py' in message


@pytest.mark.slow
def test_places_without_its_lists(train, resnet18, tmp_path, monkeypatch):
    (tmp_path / 'data/vision/torralba/deeplearning/images256').mkdir(
        parents=True
    )
    monkeypatch.setenv('PLACES_ROOT', str(tmp_path))
    with pytest.raises(FileNotFoundError) as error:
        train('linear/resnet50_8xb32-linear-pcl-40e_places205', resnet18)
    message = str(error.value)
    assert 'trainvalsplit_places205/train_places205.csv' in message
    assert 'Places205 expects' in message and 'images256' in message
