# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The metafiles and READMEs agree with the recipes and the results."""

import re
from collections import defaultdict

import pytest
from mmengine.fileio import load as load_file

from experiments.runner import read_results
from pauc_mm.utils.tables import mean_and_deviation
from tests.test_configs.recipes import CONFIGS, RECIPES, ROOT, load

META = [
    load_file(ROOT / name)
    for name in load_file(ROOT / 'model-index.yml')['Import']
]
MODELS = {model['Name']: model for meta in META for model in meta['Models']}
COLLECTIONS = {c['Name']: c for meta in META for c in meta['Collections']}
# Names of the values in the metafiles and in the raw results.
METRICS = {
    'kNN': 'accuracy/knn',
    'Linear': 'accuracy/linear',
    '1 label': 'accuracy/shot1',
    '5 labels': 'accuracy/shot5',
    '10 labels': 'accuracy/shot10',
}


def test_every_recipe_is_listed():
    listed = [model['Config'] for meta in META for model in meta['Models']]
    paths = [path.relative_to(ROOT).as_posix() for path in RECIPES.values()]
    assert sorted(listed) == sorted(paths)
    assert len(MODELS) == len(listed)
    assert len(META) == len(list(CONFIGS.glob('*/metafile.yml')))


def test_collections():
    assert {m['In Collection'] for m in MODELS.values()} == set(COLLECTIONS)
    for collection in COLLECTIONS.values():
        assert collection['Paper']['URL'].startswith('https://')
        readme = (ROOT / collection['README']).read_text()
        for key in ('Title', 'URL'):
            assert collection['Paper'][key] in readme


@pytest.mark.parametrize('name', sorted(MODELS))
def test_model_agrees_with_its_config(name):
    model, cfg = MODELS[name], load(name)
    assert 'Weights' not in model  # none are published
    assert cfg.model.type == model['In Collection'].removesuffix('V2')
    assert model['Metadata']['Epochs'] == cfg.train_cfg.max_epochs
    gpus = 8 if '_8x' in name else 1
    batch = gpus * cfg.train_dataloader.batch_size
    assert model['Metadata']['Batch Size'] == batch
    assert cfg.auto_scale_lr.base_batch_size == batch


def measured():
    """Summaries of three seeds by recipe: learning rate, metrics."""
    runs = defaultdict(list)
    for report, row in (
        ('results', '{method}_tiny_{data}'),
        ('ablations', 'pauc_tiny_{data}_{method}'),
    ):
        for run in read_results(ROOT / f'docs/{report}.json'):
            key = row.format(**run.setting), run.setting['rate']
            runs[key].append(run.metrics)
    return {
        name: (
            rate,
            {
                key: mean_and_deviation([100 * r[metric] for r in rows])
                for key, metric in METRICS.items()
            },
        )
        for (name, rate), rows in runs.items()
        if name in RECIPES and len(rows) == 3
    }


def test_results_are_those_of_the_reports():
    expected = measured()
    assert {n for n, m in MODELS.items() if m.get('Results')} == set(expected)
    for name, (rate, summaries) in expected.items():
        (result,) = MODELS[name]['Results']
        assert result['Learning Rate'] == rate
        assert result['Metrics'] == {
            key: round(value.mean, 1) for key, value in summaries.items()
        }
        cells = (
            f'`{name}`',
            f'{rate:g}',
            *(s.text() for s in summaries.values()),
        )
        readme = COLLECTIONS[MODELS[name]['In Collection']]['README']
        assert f'| {" | ".join(cells)} |\n' in (ROOT / readme).read_text()


def test_every_config_that_is_mentioned_exists():
    """Docs, help texts, messages and comments name existing configs."""
    folders = ('docs', 'tools', 'pauc_mm', 'experiments', 'benchmarks')
    files = [
        path
        for folder in (*folders, 'configs')
        for path in (ROOT / folder).rglob('*')
        if path.suffix in ('.md', '.py', '.sh')
    ]
    mention = re.compile(r'\b(?:configs/|pauc_mm::)([a-z0-9_/-]+\.py)\b')
    missing = {
        f'{file.relative_to(ROOT)}: {name}'
        for file in [*files, *ROOT.glob('*.md')]
        for name in mention.findall(file.read_text())
        if not (CONFIGS / name).is_file()
    }
    assert not missing


def test_every_link_and_program_of_the_docs_exists():
    files = [
        *ROOT.glob('*.md'),
        *(ROOT / 'docs').glob('*.md'),
        *CONFIGS.rglob('*.md'),
    ]
    link = re.compile(r'\]\((?!https?:|#)([^)#\s]+)')
    program = re.compile(
        r'(?<![\w/.-])((?:benchmarks|experiments|pauc_mm|tools)/'
        r'[\w/]+\.(?:py|sh))\b'
    )
    module = re.compile(r'python -m ((?:experiments|pauc_mm)[.\w]*)')
    missing = set()
    for file in files:
        text = file.read_text()
        paths = [file.parent / path for path in link.findall(text)]
        paths += [ROOT / path for path in program.findall(text)]
        names = [name.replace('.', '/') for name in module.findall(text)]
        paths += [ROOT / f'{name}.py' for name in names]
        missing |= {f'{file.name}: {p}' for p in paths if not p.exists()}
    assert not missing
