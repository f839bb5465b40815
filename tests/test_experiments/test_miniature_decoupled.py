# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The study of decoupled prototypes in miniature."""

import pytest
import torch
from mmengine.registry import init_default_scope

from experiments import miniature_decoupled as miniature


def test_what_is_there_is_not_run_again(tmp_path, monkeypatch):
    ran = []

    def train(data, tail, method, seed):
        ran.append((method, seed))
        record = dict(knn=0.5 + 0.1 * seed, used=40, used_share=0.25)
        shares = dict(unique=[1.0, 0.9, 0.8, 0.7], unique_used=[0.6] * 4)
        return [dict(step=0, knn=0), dict(step=9, **record, **shares)]

    monkeypatch.setattr(miniature, 'train', train)
    options = ['--out', str(tmp_path / 'new'), '--tails', 'balanced']
    options += ['--methods', 'joint', 'decoupled-before', '--seeds', '0', '2']
    miniature.main([*options[:-1]])
    assert ran == [('joint', 0), ('decoupled-before', 0)]
    miniature.main(options)
    assert ran[2:] == [('joint', 2), ('decoupled-before', 2)]
    row = (tmp_path / 'new' / 'miniature.md').read_text().splitlines()[2]
    cells = [cell.strip() for cell in row.split('|')[4:8]]
    # 50 and 70 per cent: the root of 2 x 10^2
    assert cells == ['2', '60.0 ± 14.1', '40.0 ± 0.0', '25.0 ± 0.0']


def test_views_are_the_image_moved():
    generator = torch.Generator().manual_seed(0)
    empty = torch.full((5, 1, 8, 8), -1.0)
    assert torch.equal(miniature.augment(empty, generator), empty)
    dot = empty.clone()
    dot[:, :, 3:5, 3:5] = 1
    views = miniature.augment(dot, generator)
    assert views.shape == dot.shape and not torch.equal(views[0], views[1])
    mass = (views + 1).sum(dim=(1, 2, 3))
    assert (mass > 2).all() and (
        mass < 20
    ).all()  # of 8, scaled by 0.75 to 1.2


@pytest.mark.slow
def test_a_run_is_repeated_exactly(monkeypatch):
    init_default_scope('mmpretrain')
    monkeypatch.setattr(miniature, 'STEPS', 3)
    monkeypatch.setattr(miniature, 'RECORDED', (0, 3))
    for method in ('joint-koleo', 'decoupled-before-annealed'):
        first, again = (
            miniature.train('digits', 'long-tailed', method, 1)
            for _ in range(2)
        )
        assert first == again and [r['step'] for r in first] == [0, 3]
        assert first[1]['images'] == 140 and first[1]['prototypes'] == 256
