# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Wrong annotations are named before a detector is trained on them."""

import json
import shutil

import pytest

pytest.importorskip('mmdet')

from mmengine.config import Config

from pauc_mm.apis.fine_tune import train_detector
from pauc_mm.detection import check_annotations

NAME = 'annotations/instances_train2017.json'


@pytest.fixture
def coco(tmp_path, coco_root):
    """Changes annotations of a copy, and checks them."""
    root = tmp_path / 'coco'
    shutil.copytree(coco_root, root)

    def check(change=None, model=None, **dataset):
        content = json.loads((root / NAME).read_text())
        if change:
            change(content)
        (root / NAME).write_text(json.dumps(content))
        base = dict(
            type='CocoDataset',
            data_root=str(root),
            ann_file=NAME,
            data_prefix=dict(img='train2017/'),
            filter_cfg=dict(filter_empty_gt=True),
        )
        loader = dict(dataset={**base, **dataset})
        cfg = dict(model=model, train_dataloader=loader)
        return check_annotations(Config(cfg))

    check.root = root
    return check


@pytest.fixture
def voc(tmp_path, voc_root):
    """Check a copy, with another list of images if given."""
    root = tmp_path / 'VOCdevkit'
    shutil.copytree(voc_root, root)

    def check(names=None):
        listed = root / 'VOC2007/ImageSets/Main/trainval.txt'
        if names:
            listed.write_text('\n'.join(names))
        base = dict(
            type='VOCDataset',
            data_root=str(root),
            ann_file='VOC2007/ImageSets/Main/trainval.txt',
            data_prefix=dict(sub_data_root='VOC2007/'),
            filter_cfg=dict(filter_empty_gt=True),
        )
        wrapped = dict(type='RepeatDataset', times=3, dataset=base)
        both = dict(type='ConcatDataset', datasets=[base, wrapped])
        return check_annotations(
            Config(dict(train_dataloader=dict(dataset=both)))
        )

    check.root = root
    return check


def first(key, value):
    def change(content):
        content['annotations'][0][key] = value

    return change


# ---- COCO -------------------------------------------------------------------
def test_good_annotations(coco):
    assert coco() == []


def test_boxes_may_touch_the_border(coco):
    # Images are 64 x 64; COCO's boxes are rounded outlines.
    for box in ([0, 0, 64, 64], [-1.5, 0, 20, 20], [50.5, 10, 15.4, 55.9]):
        assert coco(first('bbox', box)) == []


@pytest.mark.parametrize(
    'box',
    [
        [60, 10, 20, 20],
        [10, 60, 20, 20],
        [-5, 10, 20, 20],
        [10, -5, 20, 20],
        [200, 200, 10, 10],
        [65, 10, 1, 1],
    ],
)
def test_box_outside_of_the_image(coco, box):
    with pytest.raises(ValueError) as error:
        coco(first('bbox', box))
    message = str(error.value)
    assert NAME in message and 'train_dataloader.dataset' in message
    assert f'annotation 1 of image 0 (0.jpg, 64 x 64), box {box}' in message


@pytest.mark.parametrize(
    'box', [[10, 10, -3, 5], [1, 2, 3], 'left', [1, 2, 3, float('nan')], None]
)
def test_box_is_no_box(coco, box):
    with pytest.raises(ValueError, match=r'\[x, y, width, height\]') as error:
        coco(first('bbox', box))
    assert 'annotation 1 of image 0' in str(error.value)
    assert 'outside' not in str(error.value)


def test_few_boxes_without_area_are_told(coco):
    # COCO has some among 860,000.
    def change(content):
        good = content['annotations'][0]
        content['annotations'] += [
            {**good, 'id': 100 + i} for i in range(20_000)
        ]
        content['annotations'][1]['bbox'] = [9.98, 18.56, 15.52, 0.0]

    (note,) = coco(change)
    assert '1 of 20004 boxes' in note


@pytest.mark.parametrize('key', ['image_id', 'category_id'])
def test_annotation_points_nowhere(coco, key):
    with pytest.raises(ValueError, match='annotation 1 of image'):
        coco(first(key, 999))


def test_all_errors_are_named_at_once(coco):
    def change(content):
        content['images'][1]['file_name'] = 'no/9.jpg'
        content['annotations'][0]['category_id'] = 999

    with pytest.raises(ValueError) as error:
        coco(change)
    assert 'no/9.jpg' in str(error.value)
    assert 'category 999' in str(error.value)


def test_empty_images(coco):
    def change(content):
        content['annotations'] = [
            a for a in content['annotations'] if a['image_id'] == 0
        ]

    (note,) = coco(change)
    assert '1 of 2 images' in note and NAME in note
    assert coco(filter_cfg=None) == []  # then they are trained on
    assert coco(test_mode=True) == []
    with pytest.raises(ValueError, match='all 2 images'):
        coco(lambda content: content.update(annotations=[]))


def test_classes_of_others(coco):
    with pytest.raises(ValueError, match='cell, nucleus.*metainfo.classes'):
        coco(metainfo=dict(classes=('cell', 'nucleus')))
    (note,) = coco(metainfo=dict(classes=('cat', 'yeti', 'car')))
    assert '1 of the 3 classes: yeti' in note


@pytest.mark.parametrize('count, wrong', [(2, False), (1, True), (80, True)])
def test_number_of_classes_of_the_head(coco, count, wrong):
    heads = dict(
        rpn_head=dict(num_classes=1),
        roi_head=dict(
            bbox_head=[dict(num_classes=2), dict(num_classes=count)]
        ),
    )
    if not wrong:
        assert coco(model=heads, metainfo=dict(classes=('car', 'cat'))) == []
        return
    with pytest.raises(ValueError, match=rf'bbox_head.1.num_classes={count}'):
        coco(model=heads, metainfo=dict(classes=('car', 'cat')))


def both(root, change, classes=('car', 'cat')):
    """Notes on a training with a changed copy for validation."""
    content = json.loads((root / NAME).read_text())
    change(content)
    (root / 'val.json').write_text(json.dumps(content))
    train = dict(
        type='CocoDataset',
        data_root=str(root),
        ann_file=NAME,
        data_prefix=dict(img='train2017/'),
        metainfo=dict(classes=classes),
    )
    val = dict(train, ann_file='val.json', test_mode=True)
    cfg = {
        f'{loop}_dataloader': dict(dataset=dataset)
        for loop, dataset in (('train', train), ('val', val))
    }
    return check_annotations(Config(cfg))


def nothing(content):
    pass


def rename_cat(content):
    for category in content['categories']:
        if category['name'] == 'cat':
            category['name'] = 'kitten'


def turn_around(content):
    content['categories'].reverse()


@pytest.mark.parametrize(
    'change, message',
    [
        (rename_cat, "label 1 is cat in '.*but no class in '"),
        (turn_around, "label 0 is car in '.*but cat in '"),
    ],
)
def test_labels_of_two_files(coco, change, message):
    from mmdet.datasets import CocoDataset

    assert both(coco.root, nothing) == []
    with pytest.raises(ValueError, match=message) as error:
        both(coco.root, change)
    text = str(error.value)
    assert NAME in text and 'train_dataloader.dataset)' in text
    assert 'val.json' in text and 'val_dataloader.dataset)' in text
    # And this is what mmdet would do.
    labels = []
    for name in (NAME, 'val.json'):
        data = CocoDataset(
            data_root=str(coco.root),
            ann_file=name,
            data_prefix=dict(img='train2017/'),
            metainfo=dict(classes=('car', 'cat')),
        )
        content = json.loads((coco.root / name).read_text())
        names = {c['id']: c['name'] for c in content['categories']}
        labels.append({names[i]: n for i, n in data.cat2label.items()})
    assert labels[0] == dict(car=0, cat=1) != labels[1]


def test_classes_that_all_files_lack_are_told(coco):
    notes = both(coco.root, nothing, classes=('cat', 'yeti', 'car'))
    assert len(notes) == 2  # of each file
    assert all('1 of the 3 classes' in n for n in notes)


def test_masks(coco):
    masks = [dict(type='LoadAnnotations', with_mask=True)]
    assert coco(pipeline=masks) == []

    def change(content):
        del content['annotations'][2]['segmentation']

    with pytest.raises(
        ValueError, match='without segmentation.*annotation 3 of'
    ):
        coco(change, pipeline=masks)
    assert coco() == []


def test_test_sets_without_annotations(coco):
    assert coco(lambda content: content.pop('annotations')) == []


@pytest.mark.parametrize(
    'text', ['{"images": [', '[]', '{"images": [{"id": 1}], "categories": []}']
)
def test_file_in_another_form(coco, text):
    (coco.root / 'x.json').write_text(text)
    with pytest.raises(ValueError, match='x.json'):
        coco(ann_file='x.json')
    with pytest.raises(ValueError, match='no.json'):
        coco(ann_file='no.json')


def test_other_data_sets_are_named(coco):
    (note,) = coco(type='CityscapesLike')
    assert 'train_dataloader.dataset' in note and 'CityscapesLike' in note


# ---- VOC --------------------------------------------------------------------
def test_good_voc(voc):
    assert voc() == []


def test_voc_images_are_missing(voc):
    with pytest.raises(ValueError, match='JPEGImages/7.jpg'):
        voc(names=['0', '1', '7'])


# ---- the tool ---------------------------------------------------------------
@pytest.mark.slow
def test_the_tool_refuses_to_train(
    coco, tmp_path, monkeypatch, detection_configs
):
    with pytest.raises(ValueError):
        coco(first('bbox', [60, 10, 20, 20]))
    monkeypatch.setenv('COCO_ROOT', str(coco.root))
    monkeypatch.setattr(Config, 'pretty_text', property(repr))
    path = tmp_path / 'small.py'
    base = detection_configs / 'mask-rcnn_r50_fpn_8xb2-1x_coco.py'
    path.write_text(
        f'_base_ = {str(base)!r}\n'
        'model = dict(backbone=dict(depth=18),\n'
        '             neck=dict(in_channels=[64, 128, 256, 512]))\n'
    )
    out = ['--work-dir', str(tmp_path / 'run')]
    with pytest.raises(ValueError, match='outside of their image'):
        train_detector([str(path), 'none', *out])


def test_the_tool_needs_a_backbone(tmp_path, capsys):
    path = tmp_path / 'no_backbone.py'
    path.write_text("model = dict(type='FasterRCNN')\n")
    with pytest.raises(SystemExit) as stop:
        train_detector(
            [str(path), 'none', '--work-dir', str(tmp_path / 'run')]
        )
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert f"'{path}': the config has no model.backbone" in message
