# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""A config inside a checkpoint must not run."""

import sys

import mmengine.config.config as mmengine_config
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import DATASETS, MODELS, TRANSFORMS
from yapf.yapflib.yapf_api import FormatCode

from pauc_mm.checkpoints.plain_config import (
    parse_plain_config,
    restrict_types,
)
from pauc_mm.utils.shipped_files import resolve_config
from tests.helpers import PLAIN, load_encoder, model_cfg


@pytest.fixture(autouse=True)
def laid_out(monkeypatch):
    # As training writes it, other than in the rest of the tests.
    monkeypatch.setattr(mmengine_config, 'FormatCode', FormatCode)


TINY = dict(type='TinyConvNet', channels=(8, 16), strides=(1, 2))


def checkpoint(tmp_path, text):
    model = MODELS.build(model_cfg('PCL'))
    path = tmp_path / 'epoch_1.pth'
    meta = dict(epoch=1, cfg=text)
    torch.save(dict(meta=meta, state_dict=model.state_dict()), path)
    return path


def text_of(**changes):
    return Config(dict(model=model_cfg('PCL'), **changes)).pretty_text


@pytest.mark.parametrize(
    'name', ['pauc_tiny_digits', 'mocov2/mocov2_tiny_mnist', 'pauc_r18_folder']
)
def test_our_configs_are_plain(name):
    config = Config.fromfile(resolve_config(name))
    assert parse_plain_config(config.pretty_text) == config.to_dict()


def test_every_kind_of_literal():
    values = dict(
        a=[1, -2.5, 1e-4, None, True, 'it\'s "so"\n'],
        b=(1,),
        c=dict(x=dict(y=()), z=[[dict(k=1)], []]),
        d={'not-a-name': 1, 'torchvision/X': dict(type='A')},
        e='long ' * 40,
    )
    assert parse_plain_config(Config(values).pretty_text) == values
    assert parse_plain_config('a = dict(x=inf)')['a']['x'] == float('inf')


@pytest.mark.parametrize(
    'text',
    [
        'import os',
        'a = __import__("os").system("true")',
        'a = open("x")',
        'a = [x for x in (1,)]',
        'a = f"{1}"',
        'a = dict(**b)',
        'a = dict([(1, 2)])',
        'a = (1).__class__',
        'a = 1 if 2 else 3',
        'a.b = 1',
        'a = b = 1',
        'a = lambda: 1',
        'print(1)',
        'a = {**{}}',
        'a = -"x"',
    ],
)
def test_code_is_refused(tmp_path, text):
    with pytest.raises(ValueError, match='line 2 is not a plain value'):
        parse_plain_config('x = 1\n' + text)
    path = checkpoint(tmp_path, text_of() + '\n' + text)
    with pytest.raises(ValueError, match='refused.*--trust-checkpoint'):
        load_encoder(path)


def test_text_that_is_no_python(tmp_path):
    with pytest.raises(ValueError, match='no Python text'):
        load_encoder(checkpoint(tmp_path, 'model = dict('))


def test_code_runs_only_when_trusted(tmp_path):
    mark = tmp_path / 'ran'
    text = text_of() + f'\nx = open({str(mark)!r}, "w").name\n'
    path = checkpoint(tmp_path, text)
    with pytest.raises(ValueError, match='refused'):
        load_encoder(path)
    assert not mark.exists()
    assert load_encoder(path, trust=True).layout == 'pauc_mm PCL'
    assert mark.exists()


@pytest.mark.parametrize(
    'kind',
    [
        'subprocess.Popen',
        'mmengine.dump',
        'mmengine.utils.path.os.system',
        'TIMMBackbone',
        'HuggingFaceClassifier',
        'this_module_must_not_be_imported',
    ],
)
def test_types_that_are_not_networks(tmp_path, monkeypatch, kind):
    folder = tmp_path / 'path'
    folder.mkdir()
    (folder / 'this_module_must_not_be_imported.py').write_text('x = 1')
    monkeypatch.syspath_prepend(str(folder))
    cfg = model_cfg('PCL', backbone=dict(type=kind, args=['true']))
    path = checkpoint(tmp_path, Config(dict(model=cfg)).pretty_text)
    with pytest.raises(ValueError, match=f"type='{kind}' is not one of"):
        load_encoder(path)
    cfg = model_cfg('PCL', type=kind)
    path = checkpoint(tmp_path, Config(dict(model=cfg)).pretty_text)
    load_encoder(path)  # the algorithm itself is never built
    assert 'this_module_must_not_be_imported' not in sys.modules


def test_imports_are_not_made_but_said(tmp_path, monkeypatch):
    (tmp_path / 'foreign_plugin_abc.py').write_text('x = 1')
    monkeypatch.syspath_prepend(str(tmp_path))
    imports = ['foreign_plugin_abc', 'pauc_mm']
    path = checkpoint(tmp_path, text_of(custom_imports=dict(imports=imports)))
    encoder = load_encoder(path)
    assert 'foreign_plugin_abc' not in sys.modules
    assert any('foreign_plugin_abc' in note for note in encoder.notes)
    load_encoder(path, trust=True)
    assert sys.modules.pop('foreign_plugin_abc').x == 1


def test_types_are_reduced_to_what_is_registered():
    cfg = dict(
        type='mmpretrain.models.backbones.ResNet',
        depth=18,
        _scope_='mmcls',
        init_cfg=dict(type='Pretrained', checkpoint='http://nowhere'),
        norm_cfg=dict(type='mmselfsup.SyncBN'),
    )
    assert restrict_types(cfg, MODELS) == dict(
        type='ResNet', depth=18, norm_cfg=dict(type='SyncBN')
    )
    assert restrict_types(TINY, MODELS) == TINY
    own = dict(type='TinyImages', pipeline=PLAIN)  # registered by the tests
    assert restrict_types(own, DATASETS, TRANSFORMS) == own
    data = dict(
        type='CustomDataset',
        pipeline=[dict(type='torchvision/Resize', size=8), *PLAIN],
    )
    assert restrict_types(data, DATASETS, TRANSFORMS) == data
    with pytest.raises(ValueError, match='torchvision/Lambda'):
        restrict_types(dict(type='torchvision/Lambda'), TRANSFORMS)


@pytest.mark.parametrize(
    'dataset, why',
    [
        (dict(type='CustomDataset', ann_file='http://x/y'), 'a URL'),
        (dict(type='CustomDataset', ann_file='/x/y.PKL'), 'a pickle'),
        (dict(type='os.listdir'), "type='os.listdir'"),
    ],
)
def test_data_that_would_run_code_is_left_out(tmp_path, dataset, why):
    loader = dict(dataset=dict(dataset, pipeline=PLAIN))
    path = checkpoint(tmp_path, text_of(val_dataloader=loader))
    encoder = load_encoder(path)
    assert encoder.dataset is None and encoder.pipeline == PLAIN
    assert any('data set' in n and why in n for n in encoder.notes)
    assert load_encoder(path, trust=True).dataset['type'] == dataset['type']
