# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Wrong annotations are named before a detector is trained on them."""

import json
import runpy
import shutil
from pathlib import Path

import pytest

pytest.importorskip('mmdet')

from mmengine.config import Config

from pauc_mm.detection import check_annotations

TOOL = Path(__file__).parents[2] / 'tools/benchmarks/detection/train.py'
NAME = 'annotations/instances_train2017.json'


@pytest.fixture
def coco(tmp_path, coco_root):
    """Changes annotations of a copy, and checks them."""
    root = tmp_path / 'coco'
    shutil.copytree(coco_root, root)

    def check(change=None, **dataset):
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
        cfg = dict(train_dataloader=dict(dataset={**base, **dataset}))
        return check_annotations(Config(cfg))

    check.root = root
    return check


@pytest.fixture
def voc(tmp_path, voc_root):
    """Changes the text of a copy of 0.xml, and checks all."""
    root = tmp_path / 'VOCdevkit'
    shutil.copytree(voc_root, root)

    def check(*change, names=None):
        path = root / 'VOC2007/Annotations/0.xml'
        if change:
            text = path.read_text()
            assert change[0] in text
            path.write_text(text.replace(*change))
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
    assert NAME in message
    assert '1 boxes are more than 2 pixels outside' in message
    assert 'annotation 1 of image 0 (0.jpg, 64 x 64)' in message
    assert f'box {box}' in message
    assert 'correct or remove' in message


@pytest.mark.parametrize(
    'box', [[10, 10, -3, 5], [1, 2, 3], 'left', [1, 2, 3, float('nan')], None]
)
def test_box_is_no_box(coco, box):
    with pytest.raises(ValueError, match='not four numbers') as error:
        coco(first('bbox', box))
    assert 'annotation 1 of image 0' in str(error.value)
    assert 'outside' not in str(error.value)


def test_box_without_area(coco):
    with pytest.raises(ValueError, match='1 boxes have no area') as error:
        coco(first('bbox', [10, 10, 0, 5]))
    assert 'box [10, 10, 0, 5]' in str(error.value)


def test_thin_boxes_are_told(coco):
    (note,) = coco(first('bbox', [10, 10, 0.5, 5]))
    assert 'leaves 1 of the 4 boxes out of the training' in note
    # Nothing is trained on a validation set.
    assert coco(test_mode=True) == []


def test_few_boxes_without_area_are_told(coco):
    # COCO has some among 860,000.
    def change(content):
        good = content['annotations'][0]
        content['annotations'] += [
            {**good, 'id': 100 + i} for i in range(20_000)
        ]
        content['annotations'][1]['bbox'] = [9.98, 18.56, 15.52, 0.0]

    (note,) = coco(change)
    assert 'leaves 1 of the 20004 boxes out' in note


@pytest.mark.parametrize(
    'key, value, message',
    [
        ('image_id', 77, 'belong to an image that is not listed'),
        ('category_id', 999, 'have a category that is not listed'),
        ('id', 2, '1 ids are of several annotations: id 2'),
    ],
)
def test_annotation_points_nowhere(coco, key, value, message):
    with pytest.raises(ValueError, match=message):
        coco(first(key, value))


def test_images_without_a_file_and_with_one_id(coco):
    def change(content):
        content['images'][1].update(id=0, file_name='no/9.jpg')

    with pytest.raises(ValueError) as error:
        coco(change)
    message = str(error.value)  # all that is wrong is told at once
    assert "images are listed but not in '" in message
    assert 'image 0, no/9.jpg' in message and 'data_prefix.img' in message
    assert '1 ids are of several images: id 0' in message
    assert '2 annotations belong to an image that is not listed' in message


def test_empty_images(coco):
    def change(content):
        content['annotations'] = [
            a for a in content['annotations'] if a['image_id'] == 0
        ]

    (note,) = coco(change)
    assert '1 of the 2 images have no object' in note and NAME in note
    assert coco(filter_cfg=None) == []  # then they are trained on
    assert coco(test_mode=True) == []
    with pytest.raises(ValueError, match='all 2 images are empty'):
        coco(lambda content: content.update(annotations=[]))


def test_classes_of_others(coco):
    with pytest.raises(ValueError) as error:
        coco(metainfo=dict(classes=('cell', 'nucleus')))
    message = str(error.value)
    assert "'cell'; 'nucleus'" in message and "'person', 'bicycle'" in message
    assert 'metainfo=dict(classes=...)' in message
    (note,) = coco(metainfo=dict(classes=('cat', 'yeti', 'car')))
    assert 'no category for 1 of the 3 classes: yeti' in note


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
        (rename_cat, "label 1 is 'cat' in '.*but no class in '"),
        (turn_around, "label 0 is 'car' in '.*but 'cat' in '"),
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
    assert all('no category for 1 of the 3 classes' in n for n in notes)


def test_masks(coco):
    masks = [dict(type='LoadAnnotations', with_mask=True)]
    assert coco(pipeline=masks) == []

    def change(content):
        del content['annotations'][2]['segmentation']

    with pytest.raises(ValueError, match='1 annotations have no segmentation'):
        coco(change, pipeline=masks)
    assert coco() == []


def test_test_sets_without_annotations(coco):
    assert coco(lambda content: content.pop('annotations')) == []


@pytest.mark.parametrize(
    'text, message',
    [
        ('{"images": [', 'is not JSON'),
        ('[]', "'images' must be a list"),
        ('{"images": [], "categories": []}', "'images' must be a list"),
        ('{"images": [{"id": 1}]}', 'has no file_name and no width'),
    ],
)
def test_file_in_another_form(coco, text, message):
    (coco.root / 'x.json').write_text(text)
    with pytest.raises(ValueError, match=message):
        coco(ann_file='x.json')
    with pytest.raises(FileNotFoundError, match='no.json'):
        coco(ann_file='no.json')


@pytest.mark.parametrize('name', ['images', 'categories', 'annotations'])
def test_entry_is_no_dict(coco, name):
    with pytest.raises(ValueError, match=f"entry 1 of '{name}', 5, must be"):
        coco(lambda content: content[name].insert(1, 5))


@pytest.mark.parametrize(
    'name, key, value, message',
    [
        ('annotations', 'area', 'x', "has area 'x', which must be a number"),
        ('annotations', 'area', None, 'has area None'),
        ('annotations', 'area', float('nan'), 'has area nan'),
        ('annotations', 'id', {}, 'has id {}'),
        ('annotations', 'image_id', [1], r'has image_id \[1\]'),
        ('annotations', 'category_id', None, 'has category_id None'),
        ('categories', 'id', [1], r'has id \[1\]'),
        ('categories', 'name', ['cat'], r"has name \['cat'\]"),
        ('images', 'id', None, 'has id None'),
        ('images', 'file_name', 7, 'has file_name 7, which must be a text'),
        ('images', 'width', None, 'has width None'),
        ('images', 'height', '64', "has height '64'"),
        ('images', 'height', 0, 'has height 0, which must be .* above 0'),
    ],
)
def test_value_of_another_kind(coco, name, key, value, message):
    def change(content):
        content[name][1][key] = value

    with pytest.raises(ValueError, match=message) as error:
        coco(change)
    text = str(error.value)
    assert NAME in text and f"entry 1 of '{name}'" in text
    if key != 'id':
        assert f"'id': {1 if name == 'images' else 2}" in text


def test_other_data_sets_are_named(coco):
    (note,) = coco(type='CityscapesLike')
    assert note.startswith('train_dataloader.dataset: annotations of City')


# ---- VOC --------------------------------------------------------------------
def test_good_voc(voc):
    assert voc() == []


@pytest.mark.parametrize('corner', ['67', '500'])
def test_voc_box_outside(voc, corner):
    with pytest.raises(ValueError) as error:
        voc('<xmax>28</xmax>', f'<xmax>{corner}</xmax>')
    message = str(error.value)
    assert 'trainval.txt' in message
    assert '1 boxes are more than 2 pixels outside' in message
    assert f'0.xml (64 x 64), cat, xmin 5, ymin 7, xmax {corner}' in message


def test_voc_box_beyond_the_border_by_rounding(voc):
    assert voc('<xmax>28</xmax>', '<xmax>65.5</xmax>') == []
    assert voc('<xmin>5</xmin>', '<xmin>0</xmin>') == []


@pytest.mark.parametrize(
    'old, new, message',
    [
        ('<xmax>28</xmax>', '<xmax>5</xmax>', 'boxes have no area: 0.xml'),
        ('<xmax>28</xmax>', '', 'bndbox.xmax is None, not a number'),
        ('<xmax>28</xmax>', '<xmax>a</xmax>', "xmax is 'a', not a number"),
        ('</annotation>', '', '0.xml: it is no XML'),
        ('<name>cat</name>', '', 'an object has no name'),
    ],
)
def test_voc_files_with_errors(voc, old, new, message):
    with pytest.raises(ValueError, match=message):
        voc(old, new)


def test_voc_lists(voc):
    with pytest.raises(ValueError) as error:
        voc(names=['0', '1', '1', '7'])
    message = str(error.value)
    assert '1 names are listed twice: 1' in message
    assert 'JPEGImages/7.jpg' in message and 'Annotations/7.xml' in message


def test_voc_classes(voc):
    (note,) = voc('<name>cat</name>', '<name>yeti</name>')
    assert 'leaves 1 objects out' in note and 'yeti' in note


def test_voc_without_a_size(voc):
    text = (voc.root / 'VOC2007/Annotations/0.xml').read_text()
    size = text[text.index('<size>') : text.index('</size>') + 7]
    assert voc(size, '') == []
    with pytest.raises(ValueError, match='outside'):
        voc('<xmax>28</xmax>', '<xmax>90</xmax>')


# ---- the tool ---------------------------------------------------------------
def test_the_tool_refuses_to_train(
    coco, tmp_path, monkeypatch, detection_configs
):
    with pytest.raises(ValueError):
        coco(first('bbox', [60, 10, 20, 20]))
    monkeypatch.setenv('COCO_ROOT', str(coco.root))
    monkeypatch.setattr(Config, 'pretty_text', property(repr))
    main = runpy.run_path(str(TOOL))['main']
    path = tmp_path / 'small.py'
    base = detection_configs / 'mask-rcnn_r50_fpn_8xb2-1x_coco.py'
    path.write_text(
        f'_base_ = {str(base)!r}\n'
        'model = dict(backbone=dict(depth=18),\n'
        '             neck=dict(in_channels=[64, 128, 256, 512]))\n'
    )
    out = ['--work-dir', str(tmp_path / 'run')]
    with pytest.raises(ValueError, match='2 pixels outside'):
        main([str(path), 'none', *out])


def test_the_tool_needs_a_backbone(tmp_path, capsys):
    main = runpy.run_path(str(TOOL))['main']
    path = tmp_path / 'no_backbone.py'
    path.write_text("model = dict(type='FasterRCNN')\n")
    with pytest.raises(SystemExit) as stop:
        main([str(path), 'none', '--work-dir', str(tmp_path / 'run')])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert f"'{path}': the config has no model.backbone" in message
