# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import json
import re
import shutil
from dataclasses import replace

import pytest
import torch
from mmengine.registry import DefaultScope
from PIL import Image

from pauc_mm.diagnosis import DiagnosisOptions, compare, diagnose
from pauc_mm.diagnosis.comparison import run_epochs, short_names
from pauc_mm.embedding.embedded_images import drop_zeros, embed_all
from pauc_mm.embedding.images import find_images
from tests.helpers import load_encoder

PICTURES = {
    'circle.png',
    'cluster_sizes.png',
    'montage.png',
    'spectrum.png',
    'tsne.png',
    'unique_prototypes.png',
}


def load(folder, name='report'):
    return json.loads((folder / f'{name}.json').read_text(encoding='utf-8'))


@pytest.mark.slow
def test_torchvision_on_a_folder(resnet, photos, tmp_path):
    options = DiagnosisOptions(data=str(photos), labels=True, image_size=32)
    diagnose(str(resnet), tmp_path, options)
    report = load(tmp_path)
    assert 'torchvision' in report['layout']
    assert report['images'] == f'{photos}: 60 images of 32 x 32 pixels'
    assert {p['file'] for p in report['pictures']} == PICTURES
    for file in PICTURES:
        assert (tmp_path / file).read_bytes()[:8] == b'\x89PNG\r\n\x1a\n'
    assert list(report['measures']['spaces']) == ['feature']
    # Noise around four colours: the easiest of classes even untrained.
    assert report['measures']['labels']['knn']['feature']['k20'] > 0.9
    page = (tmp_path / 'report.html').read_text(encoding='utf-8')
    assert page.count('data:image/png;base64,') == len(PICTURES)
    assert report['verdict']['title'] in page
    assert not re.findall(r'(?:src|href)="(?!data:)', page)


@pytest.mark.slow
def test_a_run_of_this_project_with_its_own_prototypes(run, tmp_path):
    options = DiagnosisOptions(labels=True, tsne=False)
    report = diagnose(str(run / 'epoch_4.pth'), tmp_path, options)
    assert report['epoch'] == 4 and 'PAUC' in report['layout']
    sets = report['measures']['clusterings']
    assert [(c['own'], c['num_prototypes']) for c in sets] == [
        (True, 4),
        (True, 6),
    ]
    assert all(sum(c['sizes']) == 48 for c in sets)
    # Two views as in training, so an alignment.
    assert 0 < report['headline']['alignment'] < 2
    assert 1 <= report['headline']['lidar'] <= 8
    assert 0 < report['headline']['view_agreement'] <= 1
    assert not [note for note in report['notes'] if 'LiDAR' in note]
    assert 'tsne.png' not in {p['file'] for p in report['pictures']}


@pytest.mark.slow
def test_views_that_are_not_there_are_said_to_be_absent(
    run, tmp_path, monkeypatch
):
    monkeypatch.setattr('pauc_mm.embedding.images._views', lambda *_: None)
    options = DiagnosisOptions(tsne=False)
    report = diagnose(str(run / 'epoch_4.pth'), tmp_path, options)
    assert len([note for note in report['notes'] if 'LiDAR' in note]) == 1
    assert not {'alignment', 'lidar'} & set(report['headline'])


@pytest.mark.slow
def test_a_second_call_does_nothing_again(run, tmp_path, monkeypatch):
    options = DiagnosisOptions(tsne=False, labels=True)
    checkpoint = str(run / 'epoch_4.pth')
    first = diagnose(checkpoint, tmp_path, options)
    times = {f: f.stat().st_mtime_ns for f in tmp_path.iterdir()}
    assert diagnose(checkpoint, tmp_path, options) == first
    assert times == {f: f.stat().st_mtime_ns for f in tmp_path.iterdir()}
    # Other measures of the same embeddings.
    monkeypatch.setattr('pauc_mm.embedding.embedded_images._embed', None)
    more = replace(options, clusters=[4])
    again = diagnose(checkpoint, tmp_path, more)
    assert len(again['measures']['clusterings']) == 3
    assert again['headline']['uniformity'] == first['headline']['uniformity']
    # Other embeddings.
    with pytest.raises(TypeError):
        diagnose(checkpoint, tmp_path, replace(options, seed=1))


@pytest.mark.slow
def test_epochs_of_one_run_are_compared_as_curves(run, tmp_path):
    checkpoints = [str(run / f'epoch_{n}.pth') for n in (4, 2, 3)]
    page = compare(checkpoints, tmp_path, DiagnosisOptions(tsne=False))
    result = load(tmp_path, 'compare')
    assert [c['epoch'] for c in result['checkpoints']] == [4, 2, 3]
    assert result['pictures'][0]['title'].endswith('over the epochs')
    text = page.read_text(encoding='utf-8')
    assert text.count('data:image/png;base64,') == 3
    for name in ('epoch_2', 'epoch_3', 'epoch_4'):
        assert f'href="{name}/report.html"' in text
        single = load(tmp_path / name)
        row = next(c for c in result['checkpoints'] if c['checkpoint'] == name)
        assert row['headline'] == single['headline']


@pytest.mark.slow
def test_different_networks_are_compared(run, resnet, photos, tmp_path):
    options = DiagnosisOptions(data=str(photos), image_size=16, tsne=False)
    compare([str(run / 'epoch_4.pth'), str(resnet)], tmp_path, options)
    result = load(tmp_path, 'compare')
    assert result['pictures'][0]['title'] == 'The measures'
    names = [c['checkpoint'] for c in result['checkpoints']]
    assert names == ['epoch_4', 'resnet18']


def test_names_and_runs(tmp_path):
    files = [
        tmp_path / 'a' / 'x.pth',
        tmp_path / 'b' / 'x.pth',
        tmp_path / 'b' / 'y.pth',
    ]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.touch()
    paths = [str(file) for file in files]
    assert short_names(paths[1:]) == ['x', 'y']
    assert short_names(paths) == ['a/x', 'b/x', 'b/y']
    other = tmp_path / 'b' / 'x.pt'
    other.touch()
    names = short_names([*paths[:2], str(other)])
    assert names == ['a/x.pth', 'b/x.pth', 'b/x.pt']
    hub = tmp_path / 'hub'  # as Hugging Face's
    hub.mkdir()
    (hub / 'model.safetensors').touch()
    assert short_names([paths[0], str(hub)]) == ['x', 'hub']
    with pytest.raises(ValueError, match='hub is named twice'):
        short_names([str(hub), str(hub / 'model.safetensors')])
    with pytest.raises(ValueError, match='--compare .* got 1'):
        short_names(paths[:1])
    with pytest.raises(ValueError, match='x.pth is named twice'):
        short_names(paths[:1] * 2)
    with pytest.raises(FileNotFoundError, match='none.pth'):
        short_names([paths[0], 'none.pth'])
    reports = [dict(epoch=n, layout='l') for n in (2, 1)]
    assert run_epochs(paths[1:], reports) == [2, 1]
    assert run_epochs(paths[:2], reports) is None
    assert run_epochs(paths[1:], [reports[0]] * 2) is None


@pytest.mark.slow
def test_embeddings_are_the_networks_own(resnet, photos):
    encoder = load_encoder(str(resnet))
    source = find_images(encoder, str(photos), image_size=32)
    images = embed_all(encoder, source, batch_size=7)
    one = source.dataset[41]['inputs'][None]
    # Loaded as BGR, the network wants RGB.
    mean = torch.tensor([123.675, 116.28, 103.53]).view(1, 3, 1, 1)
    std = torch.tensor([58.395, 57.12, 57.375]).view(1, 3, 1, 1)
    normal = (one.flip(1).float() - mean) / std
    with torch.no_grad():
        feature = encoder.backbone(normal)[-1].mean((2, 3))[0]
    torch.testing.assert_close(images.features[41], feature)
    assert images.views.shape == (2, 60, 512)
    again = embed_all(encoder, source, batch_size=60, seed=0)
    torch.testing.assert_close(images.views, again.views, atol=1e-4, rtol=0)


def constant(source, path, feature=None, embedding=None):
    """The checkpoint with a network of constant output."""
    checkpoint = torch.load(source, weights_only=False)
    state = checkpoint['state_dict']
    for key, value in state.items():
        if embedding is not None and key.startswith('neck.fc'):
            value.fill_(embedding if key.endswith('bias') else 0)
        if feature is not None and key.startswith('backbone.'):
            value.fill_(feature if key.endswith('bias') else 0)
    torch.save(checkpoint, path)
    return str(path)


@pytest.mark.slow
def test_a_total_collapse_is_reported(run, tmp_path):
    source = run / 'epoch_4.pth'
    point = constant(source, tmp_path / 'point.pth', embedding=1.0)
    options = DiagnosisOptions(labels=True)
    report = diagnose(point, tmp_path / 'out', options)
    assert report['verdict']['title'] == 'Collapsed: complete collapse.'
    both = [point, str(source)]
    compare(both, tmp_path / 'both', DiagnosisOptions(tsne=False))
    flat = constant(source, tmp_path / 'flat.pth', feature=1.0, embedding=1.0)
    report = diagnose(flat, tmp_path / 'flat', options)
    assert report['verdict']['title'] == 'Collapsed: complete collapse.'
    dead = constant(source, tmp_path / 'dead.pth', feature=0.0)
    with pytest.raises(ValueError, match='Complete collapse: 48 of 48'):
        diagnose(dead, tmp_path / 'dead')


def test_zeros_are_left_out_and_counted(resnet, photos):
    encoder = load_encoder(str(resnet))
    source = find_images(encoder, str(photos), True, image_size=32)
    images = embed_all(encoder, source)
    images.features[7] = 0
    some, rest, share = drop_zeros(images, source)
    assert (
        share == pytest.approx(1 / 60)
        and len(rest) == len(some.features) == 59
    )
    assert rest.paths == source.paths[:7] + source.paths[8:]
    assert len(rest.labels) == len(rest.views) == 59


@pytest.mark.slow
def test_changed_images_are_embedded_again(resnet, photos, tmp_path):
    folder = tmp_path / 'images'
    shutil.copytree(photos, folder)
    options = DiagnosisOptions(data=str(folder), image_size=32, tsne=False)
    first = diagnose(str(resnet), tmp_path / 'out', options)
    for path in folder.rglob('*.png'):
        Image.effect_noise((40, 40), 90).convert('RGB').save(path)
    again = diagnose(str(resnet), tmp_path / 'out', options)
    assert again['headline'] != first['headline']
    (tmp_path / 'out' / 'embeddings.pt').write_text('junk')
    (tmp_path / 'out' / 'report.json').write_text('junk')
    third = diagnose(str(resnet), tmp_path / 'out', options)
    assert third['headline'] == again['headline']


def test_networks_that_diverged(resnet, photos, tmp_path):
    encoder = load_encoder(str(resnet))
    with torch.no_grad():
        encoder.backbone.layer4[1].bn2.bias[0] = float('nan')
    source = find_images(encoder, str(photos), image_size=32)
    with pytest.raises(RuntimeError, match='60 of 60 images are not finite'):
        embed_all(encoder, source)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(epsilon=0), '--epsilon .* got 0'),
        (dict(max_images=0), '--max-images .* got 0'),
        (dict(image_size=-1), '--image-size .* got -1'),
        (dict(clusters=[40]), '--clusters .* got 40'),
        (dict(batch_size=0), '--batch-size .* got 0'),
        (dict(workers=-1), '--workers .* got -1'),
        (dict(device='cuda'), '--device cuda'),
    ],
)
def test_wrong_options(
    resnet, photos, tmp_path, monkeypatch, options, message
):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ValueError, match=message):
        options = DiagnosisOptions(data=str(photos), **options)
        diagnose(str(resnet), tmp_path, options)
    assert not list(tmp_path.iterdir())


def test_out_is_a_file(resnet, photos):
    with pytest.raises(ValueError, match='--out'):
        diagnose(str(resnet), resnet, DiagnosisOptions(data=str(photos)))


def test_nothing_depends_on_the_scope_of_the_program(resnet):
    with DefaultScope.overwrite_default_scope('mmengine'):
        encoder = load_encoder(str(resnet))
        images = encoder.preprocess_images(torch.zeros(2, 3, 32, 32).byte())
    assert images.shape == (2, 3, 32, 32)
