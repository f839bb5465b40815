# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Scenes of digits: what is drawn, and both forms it is written in."""

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments import make_digit_scenes
from experiments.digit_scenes import (
    CLASSES,
    SceneSettings,
    compose_scene,
    write_scenes,
)
from experiments.digit_scenes.scene import PALETTE, Instance, Scene
from experiments.digit_scenes.voc_form import voc_masks
from pauc_mm.datasets.packaged_images import (
    MlxtendMNIST,
    held_out_split,
    read_mnist,
)

if find_spec('mmdet'):  # before a test imports a part of it
    import pauc_mm.detection  # noqa: F401

SETTINGS = SceneSettings(
    train=6, val=4, size=64, digits=(1, 5), digit_size=(14, 30), empty=0.3
)
needs_mmdet = pytest.mark.skipif(
    not find_spec('mmdet'), reason='mmdet is not installed'
)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp('scenes') / 'digits'
    write_scenes(path, SETTINGS)
    return path


def read(root, split):
    path = root / 'annotations' / f'instances_{split}.json'
    return json.loads(path.read_text())


def decode(segmentation):
    """An independent reading of COCO's run lengths: column by column."""
    height, width = segmentation['size']
    values = [i % 2 for i in range(len(segmentation['counts']))]
    flat = np.repeat(values, segmentation['counts'])
    assert len(flat) == height * width
    return flat.reshape(width, height).T.astype(bool)


def digests(root):
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(
            path.read_bytes()
        ).hexdigest()
        for path in sorted(root.rglob('*'))
        if path.is_file()
    }


# ---- scenes -----------------------------------------------------------------
def scenes(count=40, **changes):
    settings = SceneSettings(**{**dict(size=96, digits=(3, 8)), **changes})
    images, labels = read_mnist()
    indices = held_out_split(labels, 'train', MlxtendMNIST.TEST_PER_CLASS)
    for seed in range(count):
        rng = np.random.RandomState(seed)
        yield compose_scene(rng, settings, images, labels, indices)


def test_boxes_are_tight_and_masks_do_not_overlap():
    total = 0
    for scene in scenes():
        count = np.zeros((96, 96), int)
        for instance in scene.instances:
            x, y, w, h = instance.box
            mask = instance.mask
            inside = mask[y : y + h, x : x + w]
            assert inside.sum() == mask.sum() > 0
            for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
                assert edge.any()
            count += mask
            total += 1
        assert count.max() <= 1
        assert 1 <= len(scene.instances) <= 8
    assert total > 100


def test_digits_are_seen_where_their_masks_are():
    # Ink is lighter than any background.
    for scene in scenes(10):
        lightness = scene.image.astype(float).mean(2)
        covered = np.zeros((96, 96), bool)
        for instance in scene.instances:
            covered |= instance.mask
            assert lightness[instance.mask].mean() > 120
        assert lightness[~covered].mean() < 115


def test_a_scene_shows_the_digit_that_it_names():
    # One large digit alone, against the image it comes from.
    images, labels = read_mnist()
    for scene in scenes(20, digits=(1, 1), digit_size=(84, 84)):
        (instance,) = scene.instances
        digit = Image.fromarray(images[instance.source]).resize((84, 84))
        expected = np.asarray(digit, float)
        x, y, w, h = instance.box
        ys, xs = np.nonzero(expected > 100)
        assert abs(w - (np.ptp(xs) + 1)) <= 3
        assert abs(h - (np.ptp(ys) + 1)) <= 3
        top, left = ys.min(), xs.min()
        part = expected[top : top + h, left : left + w]
        own = instance.mask[y : y + part.shape[0], x : x + part.shape[1]]
        assert np.corrcoef(part.ravel(), own.ravel())[0, 1] > 0.85
        assert instance.label == labels[instance.source]


def test_overlap_has_a_limit():
    for share, limit in ((0.0, 0.0), (0.3, 0.3)):
        seen = 0.0
        for scene in scenes(20, max_overlap=share, digits=(6, 8)):
            boxes = [i.box for i in scene.instances]
            for i, (ax, ay, aw, ah) in enumerate(boxes):
                for bx, by, bw, bh in boxes[:i]:
                    width = min(ax + aw, bx + bw) - max(ax, bx)
                    height = min(ay + ah, by + bh) - max(ay, by)
                    both = max(width, 0) * max(height, 0)
                    seen = max(seen, both / (28 * 28))
        # Frames, which are larger than boxes, overlap by at most the share.
        assert seen == 0 if not limit else seen > 0


# ---- files ------------------------------------------------------------------
def test_a_seed_means_the_same_bytes(root, tmp_path):
    write_scenes(tmp_path / 'again', SETTINGS)
    assert digests(root) == digests(tmp_path / 'again')
    other = SceneSettings(**{**SETTINGS.__dict__, 'seed': 1})
    write_scenes(tmp_path / 'other', other)
    mine, theirs = digests(root), digests(tmp_path / 'other')
    name = 'VOC2007/JPEGImages/train_00000.jpg'
    assert mine.keys() == theirs.keys() and mine[name] != theirs[name]


def test_longer_sets_begin_with_the_same_scenes(root, tmp_path):
    more = SceneSettings(**{**SETTINGS.__dict__, 'train': 9, 'empty': 0.0})
    write_scenes(tmp_path / 'more', more)
    mine, theirs = digests(root), digests(tmp_path / 'more')
    full = {a['image_id'] for a in read(root, 'train')['annotations']}
    assert full
    for i in full:
        name = f'VOC2007/JPEGImages/train_{i:05d}.jpg'
        assert mine[name] == theirs[name]


def test_longer_sets_have_the_same_empty_scenes(root, tmp_path):
    more = SceneSettings(**{**SETTINGS.__dict__, 'train': 11})
    write_scenes(tmp_path / 'more', more)
    mine, theirs = digests(root), digests(tmp_path / 'more')
    shared = [k for k in mine if Path(k).name.startswith('train_')]
    assert len(shared) == 4 * SETTINGS.train
    assert all(mine[k] == theirs[k] for k in shared)
    both = [read(path, 'train') for path in (root, tmp_path / 'more')]
    count = len(both[0]['annotations'])
    assert both[1]['annotations'][:count] == both[0]['annotations']
    assert both[1]['annotations'][count]['image_id'] >= SETTINGS.train


@pytest.mark.parametrize('share', [0.0, 0.1, 0.25, 0.3, 0.5, 2 / 3, 0.9])
def test_number_of_empty_scenes(share):
    settings = SceneSettings(train=200, empty=share)
    empty = [settings.is_empty(i) for i in range(200)]
    for count in range(201):
        assert abs(sum(empty[:count]) - share * count) <= 0.5
    assert sum(empty) == settings.num_empty('train')


def test_masks_number_all_digits_of_a_scene():
    most = SceneSettings(digits=(1, 255)).digits[1]
    mask = np.zeros((16, 16), bool)
    instances = []
    for i in range(most):
        own = mask.copy()
        own.flat[i] = True
        instances.append(Instance(i % 10, 0, own))
    image = np.zeros((16, 16, 3), np.uint8)
    objects, _ = voc_masks(Scene(image, instances))
    assert np.asarray(objects).ravel().tolist() == [*range(1, 256), 0]
    # Each with a colour of its class.
    shown = np.asarray(objects.convert('RGB')).reshape(-1, 3)
    expected = [PALETTE[i % 10] for i in range(most)]
    assert [tuple(c) for c in shown[:-1].tolist()] == expected


def test_splits_share_no_digit(root):
    sources = [
        {a['source'] for a in read(root, split)['annotations']}
        for split in ('train', 'val')
    ]
    assert all(sources) and not sources[0] & sources[1]
    _, labels = read_mnist()
    held_out = set(held_out_split(labels, 'test', 100).tolist())
    assert sources[1] <= held_out and not sources[0] & held_out


@pytest.mark.parametrize('split', ['train', 'val'])
def test_coco_form(root, split):
    content = read(root, split)
    count = getattr(SETTINGS, split)
    assert len(content['images']) == count
    full = {a['image_id'] for a in content['annotations']}
    assert count - len(full) == SETTINGS.num_empty(split) > 0
    for annotation in content['annotations']:
        mask = decode(annotation['segmentation'])
        ys, xs = np.nonzero(mask)
        x, y, w, h = annotation['bbox']
        assert (x, y) == (xs.min(), ys.min())
        assert (x + w, y + h) == (xs.max() + 1, ys.max() + 1)
        assert annotation['area'] == mask.sum()
        assert annotation['iscrowd'] == 0
    assert [c['name'] for c in content['categories']] == list('0123456789')


def test_pycocotools_reads_it(root):
    coco = pytest.importorskip('pycocotools.coco')
    path = root / 'annotations/instances_train.json'
    api = coco.COCO(str(path))
    for annotation in api.loadAnns(api.getAnnIds()):
        mask = api.annToMask(annotation).astype(bool)
        assert (mask == decode(annotation['segmentation'])).all()


def test_voc_form_agrees_with_coco_form(root):
    import xml.etree.ElementTree as ET

    content = read(root, 'val')
    voc = root / 'VOC2007'
    names = (voc / 'ImageSets/Main/val.txt').read_text().split()
    assert names == [Path(i['file_name']).stem for i in content['images']]
    for image, name in zip(content['images'], names):
        tree = ET.parse(voc / f'Annotations/{name}.xml')
        own = [
            a for a in content['annotations'] if a['image_id'] == image['id']
        ]
        objects = tree.findall('object')
        assert [o.findtext('name') for o in objects] == [
            CLASSES[a['category_id'] - 1] for a in own
        ]
        by_object = np.array(
            Image.open(voc / f'SegmentationObject/{name}.png')
        )
        by_class = np.array(Image.open(voc / f'SegmentationClass/{name}.png'))
        assert by_object.max() == len(own)
        for number, (item, annotation) in enumerate(zip(objects, own), 1):
            x, y, w, h = annotation['bbox']
            corners = [
                int(item.findtext(f'bndbox/{key}'))
                for key in ('xmin', 'ymin', 'xmax', 'ymax')
            ]
            assert corners == [x + 1, y + 1, x + w, y + h]
            mask = decode(annotation['segmentation'])
            assert ((by_object == number) == mask).all()
            assert (by_class[mask] == annotation['category_id']).all()


@needs_mmdet
def test_mmdet_reads_both_forms(root):
    from mmdet.datasets import CocoDataset, VOCDataset

    metainfo = json.loads((root / 'scenes.json').read_text())['metainfo']
    pipeline = [
        dict(type='mmdet.LoadImageFromFile'),
        dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=True),
    ]
    filter_cfg = dict(filter_empty_gt=True)
    coco = CocoDataset(
        data_root=str(root),
        ann_file='annotations/instances_train.json',
        data_prefix=dict(img='VOC2007/JPEGImages/'),
        metainfo=metainfo,
        filter_cfg=filter_cfg,
        pipeline=pipeline,
    )
    voc = VOCDataset(
        data_root=str(root),
        ann_file='VOC2007/ImageSets/Main/train.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        metainfo=metainfo,
        filter_cfg=filter_cfg,
        pipeline=pipeline[:1],
    )
    expected = SETTINGS.train - SETTINGS.num_empty('train')
    assert len(coco) == len(voc) == expected
    for dataset in (coco, voc):
        assert tuple(dataset.metainfo['classes']) == CLASSES
    masks = {
        a['id']: decode(a['segmentation'])
        for a in read(root, 'train')['annotations']
    }
    loaded = []
    for i in range(len(coco)):
        sample, other = coco[i], voc[i]
        assert (sample['img'] == other['img']).all()
        loaded += list(sample['gt_masks'].masks.astype(bool))
        boxes = sample['gt_bboxes'].tensor.numpy()
        # mmdet takes VOC's last pixel for the border: a pixel less.
        theirs = np.array([x['bbox'] for x in other['instances']])
        np.testing.assert_array_equal(
            boxes - theirs, [[0, 0, 1, 1]] * len(boxes)
        )
        labels = [x['bbox_label'] for x in other['instances']]
        assert sample['gt_bboxes_labels'].tolist() == labels
    for mine, expected in zip(loaded, masks.values()):
        assert (mine == expected).all()


# ---- the tool ---------------------------------------------------------------
def test_the_tool(tmp_path, capsys):
    out = tmp_path / 'a' / 'scenes'
    options = '--train 3 --val 2 --size 64 --digit-size 14 24'.split()
    record = make_digit_scenes.main([str(out), *options])
    text = capsys.readouterr().out
    assert 'train: 3 scenes, 0 of them empty' in text and str(out) in text
    assert record['settings']['digit_size'] == [14, 24]
    assert (out / 'overview.png').is_file()
    assert not list(out.parent.glob('*.partial'))
    with pytest.raises(SystemExit, match='--force'):
        make_digit_scenes.main([str(out), *options])
    make_digit_scenes.main([str(out), *options, '--force', '--seed', '3'])
    assert (
        json.loads((out / 'scenes.json').read_text())['settings']['seed'] == 3
    )


def test_nothing_of_others_is_removed(tmp_path):
    (tmp_path / 'thesis.tex').write_text('x')
    with pytest.raises(SystemExit, match='nothing was removed'):
        make_digit_scenes.main([str(tmp_path), '--force'])
    with pytest.raises(SystemExit, match='is a file'):
        make_digit_scenes.main([str(tmp_path / 'thesis.tex')])
    assert (tmp_path / 'thesis.tex').read_text() == 'x'


def test_an_interrupted_run_leaves_no_half_set(tmp_path):
    def stop(items, label):
        for i in items:
            if i == 2:
                raise KeyboardInterrupt
            yield i

    out = tmp_path / 'scenes'
    with pytest.raises(KeyboardInterrupt):
        write_scenes(out, SETTINGS, progress=stop)
    assert not out.exists() and (tmp_path / 'scenes.partial').is_dir()
    write_scenes(out, SETTINGS)
    assert [p.name for p in tmp_path.iterdir()] == ['scenes']


@pytest.mark.parametrize(
    'options, message',
    [
        ('--train 0', '--train must be an integer >= 1'),
        ('--size 20', '--size must be an integer >= 32'),
        ('--digits 5 2', '--digits 5 2'),
        ('--digits 3 256', '--digits 3 256'),
        ('--digit-size 4 20', '--digit-size must be an integer >= 12'),
        ('--digit-size 16 200', '--digit-size 16 200'),
        ('--max-overlap 1.5', '--max-overlap must be at least 0 and below 1'),
        ('--empty nan', '--empty must be at least 0'),
        ('--empty 0.999', '--empty 0.999'),
        ('--seed -1', '--seed must be an integer >= 0'),
    ],
)
def test_wrong_options(tmp_path, capsys, options, message):
    with pytest.raises(SystemExit) as stop:
        make_digit_scenes.main([str(tmp_path / 'x'), *options.split()])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
