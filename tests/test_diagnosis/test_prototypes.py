# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import json
import math

import pytest
import torch

from pauc_mm.apis.prototypes import main
from pauc_mm.diagnosis.prototypes import (
    PUBLISHED,
    measure_prototypes,
    published_counts,
)
from pauc_mm.visualization.curves import PUBLISHED as PUBLISHED_PERCENT

HEAD = {
    'module.head.mlp.0.weight': torch.ones(4, 6),
    'module.head.mlp.0.bias': torch.zeros(4),
    'module.head.mlp.2.weight': torch.ones(3, 4),
    'module.head.mlp.2.bias': torch.zeros(3),
}


def write(path, prototypes, epoch=None, **weights):
    """Write a file of DINO's layout that has a head alone."""
    layer = {'module.head.last_layer.weight': prototypes}
    student = {**HEAD, **layer, **weights}
    torch.save(dict(student=student, epoch=epoch), path)
    return str(path)


def on_the_sphere():
    """Six prototypes of norms 1 to 6: 0 = 2 = 5 and 1 = 4, of 3 one."""
    axes = torch.eye(3)[[0, 1, 0, 2, 1, 0]]
    return axes * torch.arange(1, 7)[:, None]


def test_measures_of_a_set_that_is_known():
    values = measure_prototypes(on_the_sphere())
    assert values['unique'] == {'0.025': 3, '0.1': 3, '0.25': 3, '0.5': 3}
    assert values['unique_share'] == 0.5
    assert values['unique_curve']['shares'] == [0.5] * 22
    assert values['groups'] == [
        dict(size=3, first=0, members=[0, 2, 5]),
        dict(size=2, first=1, members=[1, 4]),
    ]
    assert values['num_groups'] == 2
    # Five have a copy, of which DINOv2's epsilon leaves a distance of 1e-8;
    # the sixth is sqrt(2) from its neighbours.
    want = (-5 * math.log(1e-8) - math.log(2) / 2) / 6
    assert values['koleo'] == pytest.approx(want)
    # Scatter of the directions: diag(3, 2, 1) - (3, 2, 1)^T (3, 2, 1) / 6.
    counts = torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64)
    scatter = torch.diag(counts) - counts.outer(counts) / 6
    singular = torch.linalg.eigvalsh(scatter).clamp(min=0).sqrt()
    shares = singular[singular > 1e-6] / singular.sum()
    want = math.exp(-(shares * shares.log()).sum())
    assert values['effective_rank'] == pytest.approx(want)


def test_the_order_decides_which_are_kept_and_not_their_lengths():
    points = on_the_sphere()
    values = measure_prototypes(points.flip(0) * 0.1)
    assert [g['first'] for g in values['groups']] == [0, 1]
    assert [g['members'] for g in values['groups']] == [[0, 3, 5], [1, 4]]


def test_published_counts_are_those_of_the_project_and_k():
    # https://arxiv.org/abs/2410.14060 and https://arxiv.org/abs/2510.20108
    assert {(model, k, n) for _, model, k, n in PUBLISHED} == {
        ('DINO ResNet-50', 60_000, 908),
        ('DINO-vMF ViT-B/16', 65_536, 939),
        ('iBOT ViT-L/16', 8_192, 969),
        ('CAPI', 16_384, 16_383),
        ('CARP', 65_536, 7_052),
        ('decoupled CARP', 65_536, 65_536),
    }
    percent = {model: 100 * n / k for _, model, k, n in PUBLISHED}
    for name, model in (
        ('DINO', 'DINO ResNet-50'),
        ('CARP', 'CARP'),
        ('decoupled', 'decoupled CARP'),
    ):
        assert round(percent[model], 1) == PUBLISHED_PERCENT[name]
    (dino,) = published_counts('official DINO', 60_000)
    assert dino == dict(model='DINO ResNet-50', unique=908, prototypes=60_000)
    carp = published_counts('official CARP', 65_536)
    assert [entry['unique'] for entry in carp] == [7_052, 65_536]
    assert published_counts('official DINO', 4_096) == []
    assert published_counts('official DINOv2', 65_536) == []
    assert len(published_counts('prototypes alone', 65_536)) == 3


@pytest.mark.slow
def test_a_page_of_epochs(tmp_path, capsys):
    files = [
        write(tmp_path / f'epoch_{epoch}.pth', points, epoch)
        for epoch, points in (
            (10, on_the_sphere()[:4]),
            (2, torch.randn(7, 3)),
        )
    ]
    main([*files, '--out', str(tmp_path / 'out')])
    printed = capsys.readouterr().out
    assert 'epoch_10 (official DINO, epoch 10)' in printed
    assert '3 of 4 (75.0%)' in printed
    assert 'group of 2 copies, the first of which is 0' in printed
    report = json.loads((tmp_path / 'out' / 'prototypes.json').read_text())
    assert [s['num_prototypes'] for s in report['sets']] == [4, 7]
    assert [s['unique']['0.025'] for s in report['sets']][0] == 3
    assert [p['file'] for p in report['pictures']] == [
        'epochs.png',
        'unique_prototypes.png',
        'spectra.png',
    ]
    page = (tmp_path / 'out' / 'prototypes.html').read_text()
    assert page.count('data:image/png;base64,') == 3
    assert 'src="http' not in page and 'href="http' not in page


@pytest.mark.slow
def test_copies_of_one_that_are_fewer_than_dimensions(tmp_path, capsys):
    file = write(tmp_path / 'one.pth', torch.ones(2, 3))
    main([file, '--out', str(tmp_path)])
    assert 'stored D x K must be transposed' in capsys.readouterr().out
    (one,) = json.loads((tmp_path / 'prototypes.json').read_text())['sets']
    assert one['groups'] == [dict(size=2, first=0, members=[0, 1])]
    assert one['effective_rank'] == 0
    assert not (tmp_path / 'spectra.png').exists()  # a point has none


@pytest.mark.parametrize(
    ('prototypes', 'message'),
    [
        (torch.eye(3).index_fill(1, torch.tensor(1), 0), r'zero.*\b1\b'),
        (torch.eye(3) / 0, 'not finite|NaN or infinite'),
        (torch.ones(1, 3), 'K=1.* are 1: '),
    ],
)
def test_prototypes_that_have_no_measure(tmp_path, prototypes, message):
    file = write(tmp_path / 'bad.pth', prototypes)
    with pytest.raises(ValueError, match=message):
        main([file, '--out', str(tmp_path)])
    assert not (tmp_path / 'prototypes.html').exists()


def test_files_that_have_no_prototypes(tmp_path):
    weights = {k.removeprefix('module.head.'): v for k, v in HEAD.items()}
    good = write(tmp_path / 'good.pth', torch.eye(3))
    with pytest.raises(FileNotFoundError, match='none.pth'):
        main([good, str(tmp_path / 'none.pth')])
    with pytest.raises(ValueError, match='good.pth is named twice'):
        main([good, good])
    bare = tmp_path / 'bare.pth'
    torch.save({f'backbone.{k}': v for k, v in weights.items()}, bare)
    with pytest.raises(ValueError, match='bare.pth'):
        main([good, str(bare), '--out', str(tmp_path / 'out')])
    assert not (tmp_path / 'out').exists()
