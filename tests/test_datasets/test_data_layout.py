# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Messages before training where files are missing."""

import pytest

from pauc_mm.datasets.data_layout import check_layout

KEY = 'train_dataloader.dataset'


@pytest.fixture
def root(tmp_path):
    for name in ('train', 'JPEGImages', 'Annotations', 'ImageSets/Main'):
        (tmp_path / name).mkdir(parents=True)
    for name in ('list.txt', 'ImageSets/Main/trainval.txt'):
        (tmp_path / name).touch()
    return tmp_path


def test_what_is_there(root):
    where = str(root)
    for dataset in (
        dict(type='ImageNet', data_root=where, split='train'),
        dict(
            type='mmpretrain.ImageNet',
            data_root=where,
            split='train',
            ann_file='list.txt',
        ),
        dict(type='CustomDataset', data_root=where, data_prefix='train'),
        dict(type='CustomDataset', data_root=where, ann_file='list.txt'),
        dict(type='X', ann_file=f'{where}/list.txt'),
        dict(type='X', data_root='s3://bucket', ann_file='list.txt'),
        dict(type='VOC', data_root=where, split='trainval'),
        dict(type='VOCDataset', data_root=where, data_prefix=dict(sub='x/')),
        dict(type='SklearnDigits', split='train'),
        None,
    ):
        check_layout(KEY, dataset)


@pytest.mark.parametrize(
    'dataset, missing, key',
    [
        (dict(type='ImageNet', split='val'), 'val', 'data_prefix'),
        (dict(type='ImageNet100', split='val'), 'val', 'data_prefix'),
        (
            dict(type='ImageNet', split='train', ann_file='meta/a.txt'),
            'meta/a.txt',
            'ann_file',
        ),
        (
            dict(type='Places205', data_prefix=dict(img_path='images')),
            'images',
            'data_prefix',
        ),
        (dict(type='VOC', split='test'), 'ImageSets/Main/test.txt', 'split'),
        (
            dict(
                type='VOC',
                split='trainval',
                data_prefix=dict(img_path='jpg', ann_path='Annotations'),
            ),
            'jpg',
            'data_prefix.img_path',
        ),
    ],
)
def test_what_is_missing(root, dataset, missing, key):
    with pytest.raises(FileNotFoundError) as error:
        check_layout(KEY, dict(dataset, data_root=str(root)))
    message = str(error.value)
    assert message.startswith(f'{KEY}.{key}: ')
    assert f"'{root / missing}'" in message
    assert dataset['type'] in message
    if '/' not in missing:
        assert 'Annotations, ImageSets' in message  # what is there
    hint = 'draw_subset.py' in message
    assert hint is (dataset['type'] == 'ImageNet' and key == 'ann_file')


def test_data_sets_around_others(root):
    inner = dict(type='ImageNet', data_root=str(root), split='val')
    with pytest.raises(FileNotFoundError, match=rf'^{KEY}\.dataset\.data_pre'):
        check_layout(KEY, dict(type='RepeatDataset', dataset=inner))
    good = dict(inner, split='train')
    with pytest.raises(FileNotFoundError, match=rf'^{KEY}\.datasets\.1\.data'):
        check_layout(KEY, dict(type='ConcatDataset', datasets=[good, inner]))
