# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Digests of published results follow renames of configs, and no more."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from experiments import rekey
from experiments.comparison.runs import comparison_run
from tests.test_experiments.test_comparison.helpers import SMALL, made

NEW = 'experiments.comparison.measure:measure'
OLD = 'pauc_mm.comparison.measure:measure'


@pytest.fixture
def rekeyed(monkeypatch):
    """Rekey results whose old configs are the present ones with changes."""

    def act(method, change):
        result = made(method, 0, 0.9)
        run = comparison_run(SMALL, 'digits', method, 0)
        content = json.loads(json.dumps(run.content()))
        change(content)
        monkeypatch.setattr(
            rekey.subprocess,
            'run',
            lambda *args, **kwargs: SimpleNamespace(
                returncode=0, stdout=json.dumps([content])
            ),
        )
        stored = {**result.to_dict(), 'digest': 'old'}
        (again,) = rekey.rekey(SMALL, [stored], Path('.'))
        assert again == result

    return act


def test_declared_renames_keep_the_result(rekeyed):
    def forms_of_before(content):
        assert content['measure'] == NEW
        content['measure'] = OLD
        model = content['config']['model']
        mixture = model.pop('prototypes')
        assert mixture.pop('type') == 'MixturePrototypes'
        carp = model['type'] == 'CARP'
        slot = dict(decouple=True) if carp else dict(prototypes='online_gmm')
        model.update(mixture=mixture, **slot)

    for method in ('pauc_online_gmm', 'carp_decoupled'):
        rekeyed(method, forms_of_before)
    rekeyed('pauc', lambda content: content.update(measure=OLD))


@pytest.mark.parametrize(
    'change, key',
    [
        (lambda c: c['config']['model'].update(temperature=9), 'temperature'),
        (lambda c: c['config']['model'].pop('queue_len'), 'queue_len'),
        (lambda c: c['config'].update(more=[1]), 'config.more'),
        (lambda c: c.update(revision=1), 'revision'),
    ],
)
def test_other_changes_are_refused_and_named(rekeyed, change, key):
    with pytest.raises(ValueError, match=f'digits_pauc_lr0.04_seed0: .*{key}'):
        rekeyed('pauc', change)


def test_differences_are_named_by_their_key():
    old = dict(a=dict(b=[1, dict(c=2)], gone=3), same=dict(d='x'))
    new = dict(a=dict(b=[1, dict(c=2.5)], new=4), same=dict(d='x'))
    assert list(rekey.differences(old, old)) == []
    assert [t.split(':')[0] for t in rekey.differences(old, new)] == [
        'a.b.1.c',
        'a.gone',
        'a.new',
    ]
    assert list(rekey.differences(dict(a=1), dict(a=True)))
    assert list(rekey.differences(dict(a=[1]), dict(a=[1, 2])))
