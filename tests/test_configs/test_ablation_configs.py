# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Each ablation changes what its name says in its recipe, and no more."""

import inspect
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope
from mmpretrain.registry import HOOKS, MODELS

from experiments.comparison.runs import comparison_run
from experiments.comparison.settings import SUITES
from tests.test_configs.recipes import load

SUITE = SUITES['ablations']
DATA = ('digits', 'mnist')
ROWS = [(name, data) for name in SUITE.methods for data in DATA]
TERMS = ('align', 'uniform', 'corr')
K = 'model.num_clusters'
WARMUP = 'default_hooks.clustering.warmup_epochs'
MISSING = object()


@cache
def row(name, data):
    """The config that a row is run with."""
    return comparison_run(SUITE, data, name, 0).load().to_dict()


def options(name, data):
    return SUITE.methods[name].options_for(data)


def differences(base, other, path=''):
    """Keys that are new or changed in other, and keys that are gone."""
    changes = {}
    for key in base.keys() | other.keys():
        old, new = base.get(key, MISSING), other.get(key, MISSING)
        if isinstance(old, dict) and isinstance(new, dict):
            changes.update(differences(old, new, f'{path}{key}.'))
        elif old != new:
            changes[f'{path}{key}'] = new
    return changes


def test_differences_sees_what_is_added_changed_and_gone():
    base = dict(a=dict(b=1, c=[1, 2]), d=3)
    other = dict(a=dict(b=1, c=[1], e=None), f=dict(g=1))
    assert differences(base, other) == {
        'a.c': [1],
        'a.e': None,
        'd': MISSING,
        'f': dict(g=1),
    }


@pytest.mark.parametrize('name, data', ROWS)
def test_a_row_is_built_and_differs_in_its_options_alone(name, data):
    init_default_scope('mmpretrain')
    cfg, base = row(name, data), row('all', data)
    if name != 'none':  # a recipe of its own, without PAUC's terms
        assert differences(base, cfg) == options(name, data)
    MODELS.build(cfg['model'])
    HOOKS.build(cfg['default_hooks']['clustering'])
    for key, value in options(name, data).items():
        *parents, option = key.split('.')
        part = base
        for parent in parents:
            part = part[parent]
        if option not in part:  # the class' default is another value
            registry = HOOKS if parents[0] == 'default_hooks' else MODELS
            init = inspect.signature(registry.get(part['type']).__init__)
            default = init.parameters[option].default
            assert default not in (value, inspect.Parameter.empty)


@pytest.mark.parametrize('name', ['align_corr', 'clusters_double'])
def test_the_examples_of_inheritance_are_rows(name):
    cfg = load('pauc_tiny_digits')
    cfg.merge_from_dict(options(name, 'digits'))
    example = load(f'pauc_tiny_digits_{name}')
    assert example.to_dict() == cfg.to_dict()


# ---- the names and labels say it -------------------------------------------
@pytest.mark.parametrize('data', DATA)
def test_halves_and_doubles(data):
    base = load(f'pauc_tiny_{data}')
    clusters = list(base.model.num_clusters)
    warmup = base.default_hooks.clustering.warmup_epochs
    expected = {
        'clusterings_1': {K: [sorted(clusters)[1]]},
        'clusterings_2': {K: [min(clusters), max(clusters)]},
        'clusters_half': {K: [k // 2 for k in clusters]},
        'clusters_double': {K: [2 * k for k in clusters]},
        'warmup_none': {WARMUP: 0},
        'warmup_half': {WARMUP: warmup // 2},
        'warmup_double': {WARMUP: 2 * warmup},
    }
    assert {name: options(name, data) for name in expected} == expected


def test_weights_of_all_three_keep_their_ratios():
    model = load('pauc_tiny_digits').model
    for name, factor in (
        ('weights_0p1_0p1_0p01', 0.1),
        ('weights_10_10_1', 10),
        ('weights_100_100_10', 100),
    ):
        assert options(name, 'digits') == {
            f'model.{term}_loss.loss_weight': pytest.approx(
                factor * model[f'{term}_loss'].loss_weight
            )
            for term in TERMS
        }


@pytest.mark.parametrize('group', ['Weights', 'Temperature'])
def test_numbers_of_labels_are_those_of_the_options(group):
    rows = {
        name: method
        for name, method in SUITE.methods.items()
        if method.group.startswith(group)
    }
    assert rows
    for name, method in rows.items():
        said = method.label.replace('T =', '').split(':')[-1].split(',')
        numbers = [float(text.split()[-1]) for text in said]
        assert numbers == list(method.options.values())
        said = name.replace('p', '.').split('_')
        assert {float(part) for part in said if part[0].isdigit()} == {
            *numbers
        }


def test_rows_of_a_group_stand_together_under_labels_of_their_own():
    methods = list(SUITE.methods.values())
    groups = [method.group for method in methods]
    changes = sum(a != b for a, b in zip(groups, groups[1:]))
    assert changes + 1 == len(set(groups))
    assert len({method.title for method in methods}) == len(methods)


# ---- what the models do ----------------------------------------------------
@pytest.mark.parametrize('data', DATA)
def test_terms_are_those_of_the_name(data):
    """A model with prototypes has the losses that its row is named for."""
    expected = {'none': set(), 'all': set(TERMS)} | {
        name: set(name.split('_'))
        for name in SUITE.methods
        if set(name.split('_')) <= set(TERMS)
    }
    assert len(expected) == 8  # all subsets of three
    for name, terms in expected.items():
        losses = {k for k in losses_of(name, data) if k.startswith('loss_')}
        assert losses == {'loss_protonce', *(f'loss_{t}' for t in terms)}


@pytest.mark.parametrize('data', DATA)
def test_weights_scale_the_losses(data):
    """The ratio of the losses is the ratio of the weights in the options."""
    base, model = losses_of('all', data), row('all', data)['model']
    for name, method in SUITE.methods.items():
        if method.group != 'Weights':
            continue
        losses = losses_of(name, data)
        for term in TERMS:
            old = model[f'{term}_loss']['loss_weight']
            new = method.options.get(f'model.{term}_loss.loss_weight', old)
            torch.testing.assert_close(
                losses[f'loss_{term}'], base[f'loss_{term}'] * new / old
            )


@pytest.mark.parametrize('data', DATA)
@pytest.mark.parametrize(
    'name, changed',
    [
        ('same_cluster_negatives', {'loss_protonce'}),
        ('centroid_weight_0p5', {'loss_align', 'loss_uniform', 'loss_corr'}),
        ('centroid_weight_0p9', {'loss_align', 'loss_uniform', 'loss_corr'}),
        ('corr_temperature_0p03', {'loss_corr'}),
        ('corr_temperature_0p3', {'loss_corr'}),
        ('corr_temperature_1', {'loss_corr'}),
    ],
)
def test_which_losses_change(data, name, changed):
    base, losses = losses_of('all', data), losses_of(name, data)
    assert losses.keys() == base.keys()
    assert changed == {
        key
        for key in base
        if key.startswith('loss_') and not torch.equal(losses[key], base[key])
    }


@cache
def losses_of(name, data):
    """Losses of random embeddings in random clusters, alike for all rows."""
    init_default_scope('mmpretrain')
    model = MODELS.build(row(name, data)['model'])
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
    model.seed_negatives(0)
    return model.prototype_losses(query, key, assigned)
