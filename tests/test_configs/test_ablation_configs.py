# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Each ablation changes what its name says in its recipe, and no more."""

import inspect
from functools import cache
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import HOOKS, MODELS

import pauc_mm  # noqa: F401
from experiments.comparison.ablations import ABLATIONS, Ablation

CONFIGS = Path(__file__).parents[2] / 'configs'
DATA = ('digits', 'mnist')
MISSING = object()

# ---- what differs, by hand -------------------------------------------------
ALIGN, UNIFORM, CORR = (
    f'model.{term}_loss' for term in ('align', 'uniform', 'corr')
)
K = 'model.num_clusters'
E_STEP = 'default_hooks.clustering'
WARMUP = f'{E_STEP}.warmup_epochs'
ALIKE = {
    'align': {UNIFORM: None, CORR: None},
    'uniform': {ALIGN: None, CORR: None},
    'corr': {ALIGN: None, UNIFORM: None},
    'align_uniform': {CORR: None},
    'align_corr': {UNIFORM: None},
    'uniform_corr': {ALIGN: None},
    'align_weight_0p1': {f'{ALIGN}.loss_weight': 0.1},
    'align_weight_10': {f'{ALIGN}.loss_weight': 10.0},
    'uniform_weight_0p1': {f'{UNIFORM}.loss_weight': 0.1},
    'uniform_weight_10': {f'{UNIFORM}.loss_weight': 10.0},
    'corr_weight_0p01': {f'{CORR}.loss_weight': 0.01},
    'corr_weight_1': {f'{CORR}.loss_weight': 1.0},
    'corr_weight_10': {f'{CORR}.loss_weight': 10.0},
    'weights_0p1_0p1_0p01': {
        f'{ALIGN}.loss_weight': 0.1,
        f'{UNIFORM}.loss_weight': 0.1,
        f'{CORR}.loss_weight': 0.01,
    },
    'weights_10_10_1': {
        f'{ALIGN}.loss_weight': 10.0,
        f'{UNIFORM}.loss_weight': 10.0,
        f'{CORR}.loss_weight': 1.0,
    },
    'weights_100_100_10': {
        f'{ALIGN}.loss_weight': 100.0,
        f'{UNIFORM}.loss_weight': 100.0,
        f'{CORR}.loss_weight': 10.0,
    },
    'corr_temperature_0p03': {f'{CORR}.temperature': 0.03},
    'corr_temperature_0p3': {f'{CORR}.temperature': 0.3},
    'corr_temperature_1': {f'{CORR}.temperature': 1.0},
    'centroid_weight_0p5': {'model.centroid_weight': 0.5},
    'centroid_weight_0p9': {'model.centroid_weight': 0.9},
    'same_cluster_negatives': {'model.proto_head.mask_same_cluster': False},
    'plain_kmeans': {f'{E_STEP}.kmeans.spherical': False},
    'momentum_bank': {f'{E_STEP}.features': 'momentum_bank'},
    'warmup_none': {WARMUP: 0},
}
OF_DIGITS = {
    'clusterings_1': {K: [50]},
    'clusterings_2': {K: [25, 100]},
    'clusters_half': {K: [12, 25, 50]},
    'clusters_double': {K: [50, 100, 200]},
    'warmup_half': {WARMUP: 12},
    'warmup_double': {WARMUP: 48},
}
OF_MNIST = {
    'clusterings_1': {K: [100]},
    'clusterings_2': {K: [50, 250]},
    'clusters_half': {K: [25, 50, 125]},
    'clusters_double': {K: [100, 200, 500]},
    'warmup_half': {WARMUP: 6},
    'warmup_double': {WARMUP: 26},
}
CHANGES = {
    f'pauc_tiny_{data}_{suffix}.py': changes
    for data, own in (('digits', OF_DIGITS), ('mnist', OF_MNIST))
    for suffix, changes in {**ALIKE, **own}.items()
}
FILES = {path.name for path in CONFIGS.glob('ablations/*.py')}


@cache
def load(name):
    return Config.fromfile(CONFIGS / name).to_dict()


def recipe_of(name):
    """The recipe that a file of ablations begins its name with."""
    return '_'.join(name.split('_')[:3]) + '.py'


def differences(base, other, path=''):
    """What is new or another value in other, and what is gone from it."""
    found = {}
    for key in base.keys() | other.keys():
        old, new = base.get(key, MISSING), other.get(key, MISSING)
        place = f'{path}{key}'
        if isinstance(old, dict) and isinstance(new, dict):
            found.update(differences(old, new, f'{place}.'))
        elif old != new:
            found[place] = new
    return found


def test_the_table_has_all_files():
    assert set(CHANGES) == FILES
    assert len(CHANGES) == 2 * len({**ALIKE, **OF_DIGITS})


@pytest.mark.parametrize('name', sorted(CHANGES))
def test_only_what_is_named_differs(name):
    found = differences(load(recipe_of(name)), load(f'ablations/{name}'))
    assert found == CHANGES[name]


@pytest.mark.parametrize('name', sorted(CHANGES))
def test_no_change_to_a_default(name):
    """What the recipe leaves to a class is another value than the class's."""
    init_default_scope('mmpretrain')
    base = load(recipe_of(name))
    for key, value in CHANGES[name].items():
        *parents, option = key.split('.')
        parent = base
        for part in parents:
            parent = parent[part]
        if option not in parent:
            registry = HOOKS if parents[0] == 'default_hooks' else MODELS
            default = default_of(registry.get(parent['type']), option)
            assert default not in (value, inspect.Parameter.empty)


def default_of(cls, option):
    return inspect.signature(cls.__init__).parameters[option].default


def test_differences_sees_what_is_added_changed_and_gone():
    base = dict(a=dict(b=1, c=[1, 2]), d=3)
    other = dict(a=dict(b=1, c=[1], e=None), f=dict(g=1))
    assert differences(base, other) == {
        'a.c': [1],
        'a.e': None,
        'd': MISSING,
        'f': dict(g=1),
    }


# ---- the names say it ------------------------------------------------------
def test_weights_of_all_three_keep_their_ratios():
    for data in DATA:
        for name in ('weights_0p1_0p1_0p01', 'weights_10_10_1'):
            changes = CHANGES[f'pauc_tiny_{data}_{name}.py']
            model = load(f'pauc_tiny_{data}.py')['model']
            factors = {
                round(value / model[key.split('.')[1]]['loss_weight'], 6)
                for key, value in changes.items()
            }
            assert len(factors) == 1


@pytest.mark.parametrize('data', DATA)
def test_halves_and_doubles(data):
    base = load(f'pauc_tiny_{data}.py')
    clusters = list(base['model']['num_clusters'])
    warmup = base['default_hooks']['clustering']['warmup_epochs']
    own = dict(digits=OF_DIGITS, mnist=OF_MNIST)[data]
    assert own['clusterings_1'][K] == [sorted(clusters)[1]]
    assert own['clusterings_2'][K] == [min(clusters), max(clusters)]
    assert own['clusters_half'][K] == [k // 2 for k in clusters]
    assert own['clusters_double'][K] == [2 * k for k in clusters]
    assert own['warmup_half'][WARMUP] == warmup // 2
    assert own['warmup_double'][WARMUP] == 2 * warmup


# ---- what the models do ----------------------------------------------------
@pytest.mark.parametrize('data', DATA)
def test_terms_are_those_of_the_name(data):
    """With prototypes, a model has the losses that its file is named for."""
    names = ('align', 'uniform', 'corr')
    expected = {
        'pcl': set(),
        'pauc': set(names),
        **{
            key: set(key.split('_'))
            for key in ALIKE
            if set(key.split('_')) <= set(names)
        },
    }
    assert len(expected) == 8  # all subsets of three
    for key, terms in expected.items():
        recipe = key if key in ('pcl', 'pauc') else 'pauc'
        name = f'{recipe}_tiny_{data}'
        file = f'{name}.py' if key == recipe else f'ablations/{name}_{key}.py'
        losses = losses_of(file)
        found = {k for k in losses if k.startswith('loss_')}
        assert found == {'loss_protonce', *(f'loss_{t}' for t in terms)}


@pytest.mark.parametrize('data', DATA)
def test_weights_scale_the_losses(data):
    """The ratio of the losses is the ratio of the weights in the names."""
    base = losses_of(f'pauc_tiny_{data}.py')
    weights = load(f'pauc_tiny_{data}.py')['model']
    for suffix, changes in ALIKE.items():
        if 'weight_' not in suffix or 'centroid' in suffix:
            continue
        losses = losses_of(f'ablations/pauc_tiny_{data}_{suffix}.py')
        for term in ('align', 'uniform', 'corr'):
            own = weights[f'{term}_loss']['loss_weight']
            new = changes.get(f'model.{term}_loss.loss_weight', own)
            torch.testing.assert_close(
                losses[f'loss_{term}'], base[f'loss_{term}'] * new / own
            )


@pytest.mark.parametrize('data', DATA)
@pytest.mark.parametrize(
    'suffix, changed',
    [
        ('same_cluster_negatives', {'loss_protonce'}),
        ('centroid_weight_0p5', {'loss_align', 'loss_uniform', 'loss_corr'}),
        ('centroid_weight_0p9', {'loss_align', 'loss_uniform', 'loss_corr'}),
        ('corr_temperature_0p03', {'loss_corr'}),
        ('corr_temperature_0p3', {'loss_corr'}),
        ('corr_temperature_1', {'loss_corr'}),
    ],
)
def test_which_losses_change(data, suffix, changed):
    base = losses_of(f'pauc_tiny_{data}.py')
    losses = losses_of(f'ablations/pauc_tiny_{data}_{suffix}.py')
    assert losses.keys() == base.keys()
    found = {
        key
        for key in base
        if key.startswith('loss_') and not torch.equal(losses[key], base[key])
    }
    assert found == changed


@cache
def losses_of(file):
    """Losses of random embeddings in random clusters, alike for all files."""
    init_default_scope('mmpretrain')
    model = MODELS.build(load(file)['model'])
    generator = torch.Generator().manual_seed(0)

    def directions(count):
        drawn = torch.randn(count, 64, generator=generator)
        return F.normalize(drawn, dim=1)

    sizes = (8, 12, 16)  # fewer than the recipe's, for twins in a batch
    model.prototypes.update(
        [directions(k) for k in sizes],
        [torch.full((k,), 0.1) for k in sizes],
        torch.stack(
            [torch.randint(k, (32,), generator=generator) for k in sizes]
        ),
        torch.device('cpu'),
    )
    assigned = model.prototypes.lookup(torch.arange(32))
    query, key = directions(32), directions(32)
    model.proto_head.seed(0, torch.device('cpu'))
    return model.prototype_losses(query, key, assigned)


# ---- the declaration -------------------------------------------------------
@pytest.mark.parametrize('data', DATA)
def test_every_row_has_a_config_and_every_config_a_row(data):
    configs = [row.config(data) for row in ABLATIONS.values()]
    assert len(set(configs)) == len(configs)
    assert all((CONFIGS / config).is_file() for config in configs)
    own = {f'ablations/{name}' for name in FILES if f'_{data}_' in name}
    recipes = {f'pcl_tiny_{data}.py', f'pauc_tiny_{data}.py'}
    assert set(configs) == own | recipes


def test_rows_of_a_group_stand_together_under_labels_of_their_own():
    rows = list(ABLATIONS.values())
    assert all(isinstance(row, Ablation) for row in rows)
    groups = [row.group for row in rows]
    changes = sum(a != b for a, b in zip(groups, groups[1:]))
    assert changes + 1 == len(set(groups))
    assert len({(row.group, row.label) for row in rows}) == len(rows)
    for key, row in ABLATIONS.items():
        assert row.suffix in (key, None)
        assert row.recipe == 'pauc' or row.suffix is None


def test_labels_of_the_terms():
    assert ABLATIONS['align'] == Ablation('Terms', 'alignment alone', 'align')
    assert ABLATIONS['none'].recipe == 'pcl'
    assert ABLATIONS['none'].config('digits') == 'pcl_tiny_digits.py'
    assert ABLATIONS['all'].config('mnist') == 'pauc_tiny_mnist.py'
    words = dict(align='alignment', uniform='uniformity', corr='correlation')
    for key, row in ABLATIONS.items():
        if row.group == 'Terms' and row.suffix:
            for part, word in words.items():
                assert (word in row.label) == (part in key.split('_'))


@pytest.mark.parametrize('group', ['Weights', 'Temperature'])
def test_numbers_of_labels_are_those_of_the_configs(group):
    rows = [r for r in ABLATIONS.values() if r.group.startswith(group)]
    assert rows
    for row in rows:
        said = row.label.replace('T =', '').split(':')[-1].split(',')
        numbers = [float(text.split()[-1]) for text in said]
        assert numbers == list(ALIKE[row.suffix].values())
