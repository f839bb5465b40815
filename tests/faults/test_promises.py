# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Each cell of the first table of docs/faults.md, by the tools of its column.

A new kind of input is a row of KINDS and a row of that table.
"""

import os
import shutil
import uuid
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image
from torch import nn

from pauc_mm.apis import (
    diagnose,
    draw_subset,
    evaluate,
    evaluate_all,
    export,
    fine_tune,
    test,
    train,
)
from pauc_mm.datasets import image_scan
from tests.faults.test_damaged_checkpoints import cut, flip, of
from tests.helpers import TWO_VIEWS, folder_loader_cfg, run_cfg
from tests.test_checkpoints.source_models import small_resnet
from tests.test_transfer.helpers import write_folders

DOC = Path(__file__).resolve().parents[2] / 'docs' / 'faults.md'
LOAD = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(8, 8)),
]
PLAIN = [*LOAD, dict(type='PackInputs')]
CHECKPOINTS = 'a.pth', 'resnet.pth', 'run/epoch_2.pth'

FOLDERS = ['--train', 'train', '--test', 'test', '--cache', '']
DETECTOR = 'pauc_mm::benchmarks/detection/faster-rcnn_tiny_digits.py'
NEW = ['--work-dir', 'new']
TOOLS = {
    'train': {
        'train': (
            train.main,
            ['recipe.py', *NEW, '--cfg-options', 'load_from=a.pth'],
        )
    },
    'resume': {
        'resume': (train.main, ['recipe.py', '--resume', '--work-dir', 'run'])
    },
    'test': {'test': (test.main, ['recipe.py', 'a.pth', *NEW])},
    'classify': {
        'classifier': (
            fine_tune.train_classifier,
            ['classify.py', 'a.pth', *NEW],
        )
    },
    'detect': {
        'detector': (fine_tune.train_detector, [DETECTOR, 'a.pth', *NEW]),
    },
    'diagnose': {
        'diagnose': (
            diagnose.main,
            ['a.pth', '--data', 'test', '--out', 'report', '--no-tsne'],
        )
    },
    'evaluate': {
        'knn': (evaluate.knn, ['a.pth', *FOLDERS, '--k', '2']),
        'linear_probe': (
            evaluate.linear_probe,
            ['a.pth', *FOLDERS, '--epochs', '1'],
        ),
        'low_shot_svm': (
            evaluate.low_shot_svm,
            ['a.pth', *FOLDERS, '--shots', '2', '--costs', '1'],
        ),
        'evaluate_all': (
            evaluate_all.main,
            ['a.pth', *FOLDERS, '--tasks', 'own-knn', '--out', 'new'],
        ),
    },
    'export': {
        'mmpretrain': (
            export.main,
            ['a.pth', 'x.pth', '--to', 'mmpretrain'],
        ),
        'of a ResNet': (
            export.main,
            ['resnet.pth', 'x.pth', '--to', 'mmpretrain'],
        ),
    },
    'draw_subset': {
        'draw_subset': (
            draw_subset.main,
            ['train', '--per-class', '1', '--out', 'x.txt'],
        )
    },
}


# ---- kinds of input: each changes the current folder -----------------------
def files(change):
    def apply():
        for name in CHECKPOINTS:
            change(Path(name))

    return apply


def weights(change):
    """Change the weights of each checkpoint, by name of the tensor."""

    def one(path):
        content = torch.load(path)
        state = content.get('state_dict', content)
        change(state)
        torch.save(content, path)

    return files(one)


def without_a_layer(state):
    for name in ('backbone.layers.1.conv.weight', 'layer2.0.conv2.weight'):
        state.pop(name, None)


def nan(state):
    for name in ('backbone.layers.1.conv.weight', 'layer2.0.conv2.weight'):
        if name in state:
            state[name][0] = float('nan')


class Code:
    def __reduce__(self):
        return os.mkdir, ('made',)


def with_code(path):
    content = torch.load(path)
    torch.save(dict(content, code=Code()), path)


def other_network(path):
    torch.save(dict(state_dict=nn.Linear(2, 2).state_dict()), path)


def appended(line):
    def apply():
        for name in ('recipe.py', 'classify.py'):
            with open(name, 'a') as file:
                file.write(f'\n{line}\n')

    return apply


def no_config():
    for name in ('recipe.py', 'classify.py'):
        os.rename(name, f'{name}.old')


def both(change):
    def apply():
        for name in ('train', 'test'):
            change(Path(name))

    return apply


def emptied(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def deep(folder):
    Image.new('I;16', (9, 9)).save(folder / 'red' / 'x.png')


def listed(text):
    """Let the training set be a list of images with labels."""

    def apply():
        Path('list.txt').write_text(text, encoding='utf-8')
        for name in ('recipe.py', 'classify.py'):
            recipe = Path(name).read_text()
            given = f"ann_file='{Path('list.txt').absolute()}', "
            at = "data_root='train'"
            assert at in recipe
            Path(name).write_text(recipe.replace(at, given + at))
        return {'train': 'list.txt'}

    return apply


IMAGES = [
    f'{c}/{i}.png {n}'
    for n, c in enumerate(('blue', 'green', 'red'))
    for i in range(8)
]
LIST = '\n'.join(IMAGES)

# What is done, and what a refusal or a note must name.
KINDS = {
    # checkpoints
    'whole': (lambda: None, ''),
    'missing': (files(Path.unlink), r'\.pth'),
    'cut off': (files(lambda path: cut(path, 3000)), r'\.pth.*truncated'),
    'a flipped bit': (files(flip), r'\.pth.*data/0'),
    'no checkpoint at all': (files(of(b'<html>404</html>')), r'\.pth'),
    'NaN in its weights': (weights(nan), r'NaN'),
    'a layer is missing': (
        weights(without_a_layer),
        r'layers\.1\.conv|layer2\.0\.conv2',
    ),
    'of another network': (
        files(other_network),
        r'a\.pth|resnet\.pth|10 tensors|clustering',
    ),
    'holds code': (files(with_code), r'\.pth'),
    # configs
    'config is missing': (no_config, "'(recipe|classify).py'"),
    'config with a syntax error': (appended('x = ('), r'\.py'),
    'misspelt key': (appended('optim_wraper = 1'), 'did you|optim_wrapper'),
    # images
    'folder is missing': (both(shutil.rmtree), '(train|test)'),
    'folder without images': (both(emptied), '(train|test)'),
    'an image that is cut off': (
        both(lambda f: cut(min(f.glob('red/*')), 200)),
        r'red/\d+\.png',
    ),
    'files that are no images': (
        both(lambda f: (f / 'red' / 'notes.txt').touch()),
        r'1 file.*\.txt \(1\)',
    ),
    'an image of 16 bits': (both(deep), '8 bits'),
    'names that are no UTF-8': (
        both(lambda f: os.rename(f / 'red', os.fsencode(f) + b'/r\xe9d')),
        '',
    ),
    'an image outside of any class': (
        both(lambda f: shutil.copy(min(f.glob('red/*')), f / 'x.png')),
        'x.png',
    ),
    'a class less in the test set': (
        lambda: shutil.rmtree('test/red'),
        'red',
    ),
    # lists
    'a list with BOM, blank lines, tabs': (
        listed('\ufeff' + LIST.replace(' ', '\t') + '\n\n \n'),
        '',
    ),
    'a list that names an image twice': (
        listed(LIST + '\n' + IMAGES[0]),
        'blue/0.png',
    ),
    'a list that names a missing image': (
        listed(LIST + '\nred/gone.png 2'),
        'gone.png',
    ),
    'a list with a label that is no number': (
        listed(LIST + '\nred/0.png red'),
        'list.txt',
    ),
}


# ---- the folder in which all of it happens ---------------------------------
def recipe(folder):
    cfg = run_cfg('run', 'PCL', max_epochs=2)
    cfg.default_hooks.clustering.pipeline = PLAIN
    views = [*LOAD, *TWO_VIEWS]
    cfg.train_dataloader = folder_loader_cfg('train', views, training=True)
    cfg.val_dataloader = folder_loader_cfg('test', PLAIN)
    bank = folder_loader_cfg('train', PLAIN)
    cfg.val_cfg = dict(type='EmbeddingValLoop', bank_dataloader=bank)
    cfg.val_evaluator = dict(type='KNNAccuracy', k=2)
    cfg.model.queue_len = 16
    cfg.model.num_clusters = [3]
    cfg.experiment_name = 'EXPERIMENT'
    cfg.dump(folder / 'recipe.py')
    cfg.model = dict(
        type='ImageClassifier',
        backbone=dict(cfg.model.backbone),
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=3, in_channels=16),
        data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3),
    )
    del cfg.default_hooks['clustering']
    cfg.train_dataloader = folder_loader_cfg('train', PLAIN, training=True)
    cfg.val_cfg = dict()
    cfg.val_evaluator = dict(type='Accuracy', topk=1)
    cfg.train_cfg.max_epochs = 1
    cfg.dump(folder / 'classify.py')


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp('prepared')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_folders(folder / 'train', range(8))
        write_folders(folder / 'test', range(8, 28))
        recipe(folder)
        torch.manual_seed(0)
        torch.save(dict(state_dict=small_resnet().state_dict()), 'resnet.pth')
        cfg = Config.fromfile('recipe.py')
        cfg.experiment_name = uuid.uuid4().hex
        Runner.from_cfg(cfg).train()
        shutil.copy('run/epoch_2.pth', 'a.pth')
        Path('run/last_checkpoint').write_text('run/epoch_2.pth')
    return folder


def cells():
    """Yield kind, column, tool and verdict of each cell with a verdict."""
    lines = DOC.read_text().splitlines()
    start = next(i for i, t in enumerate(lines) if t.startswith('| input'))
    header = [part.strip() for part in lines[start].split('|')[2:-1]]
    rows = lines[start + 2 :]
    for line in rows[: rows.index('')]:
        kind, *row = (part.strip() for part in line.split('|')[1:-1])
        for column, verdict in zip(header, row, strict=True):
            tools = list(TOOLS[column]) if verdict else []
            if verdict != 'refused' and kind != 'whole':
                tools = tools[:1]  # they share what lets the input pass
            for tool in tools:
                quick = verdict == 'refused' and column not in RUNNERS
                yield pytest.param(
                    *(kind, column, tool, verdict),
                    marks=() if quick else pytest.mark.slow,
                    id=f'{kind}-{tool}',
                )


RUNNERS = 'train', 'resume', 'test', 'classify'
CELLS = list(cells())


@pytest.mark.parametrize('kind, column, tool, verdict', CELLS)
def test_cell(
    prepared, tmp_path, monkeypatch, ends, kind, column, tool, verdict
):
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    image_scan.warn_once.cache_clear()
    for name in ('recipe.py', 'classify.py'):
        text = Path(name).read_text()
        Path(name).write_text(text.replace('EXPERIMENT', uuid.uuid4().hex))
    change, names = KINDS[kind]
    replaced = change() or {}
    if column != 'draw_subset':
        replaced = {}
    if verdict == 'recovers':
        names = 'Resuming from .*epoch_1.pth'
    main, argv = TOOLS[column][tool]
    with ends(f'{verdict}: {"" if verdict == "works" else names}'):
        main([replaced.get(part, part) for part in argv])
    assert not Path('made').exists()


@pytest.mark.verdict('works')
def test_each_kind_is_in_the_table():
    assert list(dict.fromkeys(cell.values[0] for cell in CELLS)) == list(KINDS)
