# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""timm's own networks, built as a user does, against the checkpoint's."""

import json
import sys

import pytest
import torch
from mmpretrain.models.backbones import VisionTransformer
from mmpretrain.registry import MODELS
from torch import nn

from pauc_mm.checkpoints.converters import export
from tests.helpers import load_encoder
from tests.test_checkpoints.source_models import (
    images,
    shaken,
    small_resnet,
    without_fc,
    wrapped,
)
from tests.test_checkpoints.test_converters.helpers import (
    assert_same,
    load,
    saved,
    to_mmpretrain,
)

timm = pytest.importorskip('timm')

CLOSE = dict(rtol=1e-5, atol=1e-5)
ARCH = dict(embed_dims=48, num_layers=2, num_heads=3, feedforward_channels=96)
CONFIG = (
    "model = dict(type='MoCo', backbone={!r}, data_preprocessor=dict("
    'mean=[102, 51, 0], std=[51, 51, 25.5], to_rgb=True))\n'
    "train_dataloader = dict(batch_size=32, dataset=dict(type='ImageNet', "
    "split='train', data_root='/home/me/secret', pipeline=[]))\n"
    "optim_wrapper = dict(optimizer=dict(type='LARS', lr=4.8))\n"
)


def vit_file(folder, **options):
    """A ViT whose every tensor matters, in a training checkpoint."""
    options = dict(
        dict(arch=ARCH, img_size=16, patch_size=4, out_type='cls_token'),
        **options,
    )
    torch.manual_seed(0)
    model = VisionTransformer(**options)
    for value in model.parameters():
        nn.init.normal_(value, std=0.3)
    cfg = CONFIG.format(dict(options, type='VisionTransformer'))
    state = wrapped(model, 'backbone.')
    content = dict(meta=dict(epoch=30, cfg=cfg), state_dict=state)
    return saved(folder, content, 'vit.pth')


def as_the_user(usage):
    names = dict(timm=timm)
    exec(usage, names)
    return names['model'].eval()


def computed(model, batch):
    with torch.no_grad():
        return model(batch)


@pytest.mark.parametrize(
    'options, suffix',
    [
        ({}, 'safetensors'),
        (dict(out_type='featmap', layer_scale_init_value=0.1), 'pth'),
        (
            dict(pre_norm=True, qkv_bias=False, in_channels=1, patch_size=8),
            'pth',
        ),
    ],
)
def test_a_vit(tmp_path, options, suffix):
    path = vit_file(tmp_path, **options)
    result = export(path, tmp_path / f'x.{suffix}', 'timm')
    batch = images(size=16)[:, : options.get('in_channels', 3)]
    expected, _ = load_encoder(path).embed(batch)
    got = computed(as_the_user(result.usage), batch)
    assert got.shape == (3, 48)
    torch.testing.assert_close(got, expected, **CLOSE)


@pytest.mark.parametrize('to', ['timm', 'huggingface'])
def test_there_and_back_bit_for_bit(tmp_path, to):
    """Three heads of 16 dimensions, which weights do not tell."""
    path = vit_file(tmp_path)
    result = export(path, tmp_path / 'out', to)
    old, new = load_encoder(path), load_encoder(result.path)
    assert torch.equal(
        new.embed(images(size=16))[0], old.embed(images(size=16))[0]
    )
    assert new.preprocess == old.preprocess and new.epoch == 30
    back = to_mmpretrain(result.path, tmp_path / 'back.pth')
    states = [load(file)['state_dict'] for file in (path, back.path)]
    assert_same(*(dict(sorted(state.items())) for state in states))
    assert back.meta['previous']['source'] == 'vit.pth'


TIMMS = {
    'plain': dict(),
    'four registers': dict(reg_tokens=4, no_embed_class=True, init_values=1.0),
    'a mean, then a norm': dict(global_pool='avg'),
}


@pytest.mark.parametrize('kind', TIMMS)
def test_a_vit_of_timm(tmp_path, kind):
    torch.manual_seed(0)
    sizes = dict(embed_dim=64, depth=2, num_heads=1, img_size=16, patch_size=4)
    name = 'vit_small_patch16_224'
    model = timm.create_model(name, num_classes=0, **sizes, **TIMMS[kind])
    for value in model.parameters():
        nn.init.normal_(value, std=0.3)
    path = saved(tmp_path, model.eval().state_dict())
    expected = computed(model, images(size=16))
    result = to_mmpretrain(path, tmp_path / 'x.pth')
    got, _ = load_encoder(result.path).embed(images(size=16))
    torch.testing.assert_close(got, expected, **CLOSE)
    cfg = eval(result.usage.removeprefix('backbone='))
    built = MODELS.build(dict(cfg, type=f'mmpretrain.{cfg["type"]}'))
    built.init_weights()
    built.eval()  # returns None
    got = computed(built, images(size=16))[0]
    torch.testing.assert_close(got, expected, **CLOSE)
    again = export(result.path, tmp_path / 'y.pth', 'timm')
    got = computed(as_the_user(again.usage), images(size=16))
    torch.testing.assert_close(got, expected, **CLOSE)


@pytest.mark.slow
def test_sizes_that_timm_names(tmp_path):
    arch = dict(
        embed_dims=192, num_layers=12, num_heads=3, feedforward_channels=768
    )
    path = vit_file(tmp_path, arch=arch, img_size=224, patch_size=16)
    usage = export(path, tmp_path / 'x.pth', 'timm').usage
    assert "'vit_tiny_patch16_224', num_classes=0,\n" in usage


@pytest.mark.parametrize('hub', [False, True])
def test_a_narrow_resnet(tmp_path, hub):
    """BasicBlocks, one a stage, and an eighth of the channels."""
    model = small_resnet()
    path = saved(tmp_path, model.state_dict())
    to = 'huggingface' if hub else 'timm'
    result = export(path, tmp_path / 'x', to)
    got = computed(as_the_user(result.usage), images(size=64))
    expected = without_fc(model, images(size=64))
    torch.testing.assert_close(got, expected, **CLOSE)


@pytest.mark.slow
@pytest.mark.parametrize('name', ['resnet50', 'wide_resnet50_2'])
def test_resnets_that_timm_names(tmp_path, name):
    torchvision = pytest.importorskip('torchvision')
    model = shaken(torchvision.models.get_model(name, weights=None))
    path = saved(tmp_path, model.state_dict())
    result = export(path, tmp_path / 'x.pth', 'timm')
    assert f"timm.create_model('{name}', num_classes=0,\n" in result.usage
    got = computed(as_the_user(result.usage), images(size=64))
    torch.testing.assert_close(
        got, without_fc(model, images(size=64)), **CLOSE
    )


def test_a_folder_as_on_the_hub(tmp_path):
    path = vit_file(tmp_path)
    report = tmp_path / 'report.json'
    values = dict(uniformity=-2.5, effective_rank=17.25)
    report.write_text(json.dumps(dict(checkpoint='vit', headline=values)))
    result = export(path, tmp_path / 'hub', 'huggingface', measures=report)
    names = {'README.md', 'config.json', 'model.safetensors'}
    assert {p.name for p in result.path.iterdir()} == names

    with pytest.raises(ValueError, match='is the file to convert'):
        export(result.path, result.path, 'huggingface', force=True)

    model = as_the_user(result.usage)
    expected, _ = load_encoder(path).embed(images(size=16))
    torch.testing.assert_close(
        computed(model, images(size=16)), expected, **CLOSE
    )
    # What timm's transforms take: images between 0 and 1.
    found = timm.data.resolve_model_data_config(model)
    assert list(found['input_size']) == [3, 16, 16]
    assert list(found['mean']) == [0.4, 0.2, 0.0]
    assert list(found['std']) == [0.2, 0.2, 0.1]
    # A classifier on top begins with random weights, the rest as exported.
    source = f'local-dir:{result.path}'
    more = timm.create_model(source, pretrained=True, num_classes=5).eval()
    assert more.head.out_features == 5
    assert torch.equal(
        computed(more.forward_features, images(size=16)),
        computed(model.forward_features, images(size=16)),
    )

    card = (result.path / 'README.md').read_text()
    for row in (
        '| method | mmpretrain MoCo |',
        '| data | ImageNet, split train |',
        '| epochs | 30 |',
        '| learning rate | 4.8 |',
        '| effective_rank | 17.25 |',
        'Of vit.',
    ):
        assert row in card
    assert 'secret' not in card and str(tmp_path) not in card


def write(path, content):
    path.write_text(content)
    return path


MEASURES = {
    'knn.py': (
        dict(accuracies={'20': 0.97}),
        '| accuracy of kNN, k=20 | 0.97 |',
    ),
    'linear_probe.py': (
        dict(mean=0.5, std=0.1, runs=[], options=dict(momentum=False)),
        '| accuracy of the linear probe | 0.5 |',
    ),
    'evaluate_all.py': (
        dict(
            tasks={},
            rows=[
                dict(row='VOC07', ours=None),
                dict(row='kNN', ours=dict(mean=61.54, std=0.0)),
            ],
        ),
        '| kNN (%) | 61.54 |',
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize('tool', MEASURES)
def test_measures_of_other_tools(tmp_path, tool):
    content, row = MEASURES[tool]
    path = saved(tmp_path, small_resnet().state_dict())
    report = write(tmp_path / 'x.json', json.dumps(content))
    result = export(path, tmp_path / 'hub', 'huggingface', measures=report)
    assert row in (result.path / 'README.md').read_text()


def cifar(folder):
    state = small_resnet().state_dict()
    state['conv1.weight'] = torch.randn(64, 3, 3, 3)
    return saved(folder, state)


REFUSED = {
    'a mean with two norms': (
        lambda p: vit_file(p, out_type='avg_featmap'),
        {},
        r"model\.backbone\.out_type='avg_featmap'",
    ),
    'another first convolution': (cifar, {}, r'\(7, 64, 4\), got \(3, 64, 4'),
    'measures of another encoder': (
        vit_file,
        dict(measures='{"settings": {"momentum": true}}'),
        "--measures '.*m.json' is of the momentum encoder",
    ),
    'measures that are none': (
        vit_file,
        dict(measures='[0.5'),
        "--measures '.*m.json' has no values",
    ),
    'no momentum encoder': (vit_file, dict(momentum=True), 'no momentum'),
}


@pytest.mark.parametrize('case', REFUSED)
def test_refused(tmp_path, case):
    make, options, message = REFUSED[case]
    path, options = make(tmp_path), dict(options)
    if 'measures' in options:
        text = options['measures']
        options['measures'] = write(tmp_path / 'm.json', text)
    with pytest.raises(ValueError, match=message):
        export(path, tmp_path / 'x', 'huggingface', **options)
    assert not (tmp_path / 'x').exists()


def test_tiny_conv_net_is_not_in_timm(tmp_path, trained):
    with pytest.raises(ValueError, match='TinyConvNet.*--to onnx'):
        export(trained, tmp_path / 'x', 'timm')


@pytest.mark.parametrize('to, module', [('timm', 'timm'), ('onnx', 'onnx')])
def test_without_the_package(tmp_path, monkeypatch, to, module):
    path = vit_file(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r'pip install .*"pauc_mm\[export\]'):
        export(path, tmp_path / 'x', to)
