# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.fileio import load

import pauc_mm  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
METAFILES = load(ROOT / 'model-index.yml')['Import']
META = [load(ROOT / name) for name in METAFILES]
MODELS = {model['Name']: model for meta in META for model in meta['Models']}
COLLECTIONS = {c['Name']: c for meta in META for c in meta['Collections']}
FILES = [*ROOT.glob('configs/*.py'), *ROOT.glob('configs/ablations/*.py')]
ABLATIONS = {n for n, m in MODELS.items() if '/ablations/' in m['Config']}


def test_every_recipe_is_listed():
    listed = [model['Config'] for meta in META for model in meta['Models']]
    assert sorted(listed) == sorted(
        path.relative_to(ROOT).as_posix() for path in FILES
    )
    assert len(MODELS) == len(listed)


def test_collections():
    assert {m['In Collection'] for m in MODELS.values()} == set(COLLECTIONS)
    for collection in COLLECTIONS.values():
        assert collection['Paper']['URL'].startswith('https://')
        assert (ROOT / collection['README']).is_file()


def test_ablations_are_listed_as_their_recipe_is():
    for name in ABLATIONS:
        recipe = MODELS['_'.join(name.split('_')[:3])]
        own = dict(Name=name, Config=f'configs/ablations/{name}.py')
        assert MODELS[name] == {**recipe, **own}


@pytest.mark.parametrize('name', sorted(MODELS.keys() - ABLATIONS))
def test_model_agrees_with_its_config(name):
    model = MODELS[name]
    assert model['Config'] == f'configs/{name}.py'
    assert 'Weights' not in model  # none are published
    cfg = Config.fromfile(ROOT / model['Config'])
    collection = model['In Collection'].removesuffix('V2')
    assert cfg.model.type == collection
    assert model['Metadata']['Epochs'] == cfg.train_cfg.max_epochs
    gpus = 8 if '_8x' in name else 1
    batch = gpus * cfg.train_dataloader.batch_size
    assert model['Metadata']['Batch Size'] == batch
    if 'auto_scale_lr' in cfg:
        assert cfg.auto_scale_lr.base_batch_size == batch
