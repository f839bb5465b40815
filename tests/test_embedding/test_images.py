# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import os
from dataclasses import replace

import pytest
import torch

from pauc_mm.embedding.images import ImageSource, find_images, read_labels
from tests.helpers import TWO_VIEWS, TinyImages
from tests.test_diagnosis.stubs import encoder

PACK = dict(type='PackInputs')


def test_a_folder_with_its_labels_in_order(photos):
    source = find_images(encoder(), str(photos), True, image_size=32)
    assert source.classes == ['blue', 'grey', 'red', 'yellow']
    assert source.labels.tolist() == [c for c in range(4) for _ in range(15)]
    assert [path[-6:-4] for path in source.paths[:3]] == ['00', '01', '02']
    image = source.dataset[0]['inputs']
    assert image.shape == (3, 32, 32) and image.dtype == torch.uint8
    # BGR, as mmcv loads: the first folder is blue.
    assert image[0].float().mean() > 200 > 60 > image[2].float().mean()
    views = source.views[0]['inputs']
    assert [view.shape for view in views] == [(3, 32, 32)] * 2
    assert not torch.equal(*views)


@pytest.mark.parametrize('split, number', [('train', 1437), ('test', 360)])
def test_the_configs_data_set_with_its_options(split, number):
    source = find_images(
        encoder(
            pipeline=[PACK],
            dataset=dict(type='SklearnDigits', split=split, pipeline=[]),
            preprocess=dict(to_rgb=False),
        )
    )
    assert len(source) == number
    assert source.dataset[0]['inputs'].shape == (3, 16, 16)


def test_224_pixels_unless_something_else_is_known(photos):
    source = find_images(encoder(), str(photos))
    assert source.dataset[0]['inputs'].shape == (3, 224, 224)
    assert 'assumed' in source.decided_by


def test_networks_of_arrays_get_images_of_their_size_and_order(photos):
    arrays = encoder(
        pipeline=[PACK],
        dataset=dict(type='SklearnDigits', split='test'),
        preprocess=dict(to_rgb=False),
    )
    source = find_images(arrays, str(photos))
    image = source.dataset[0]['inputs']
    assert image.shape == (3, 16, 16) and not source.bgr
    # RGB, since nothing turns it: the first folder is blue.
    assert image[2].float().mean() > 200 > 60 > image[0].float().mean()
    unknown = encoder(pipeline=[PACK], dataset=dict(type='NoSuchData'))
    with pytest.raises(ValueError, match='with --image-size'):
        find_images(unknown, str(photos))


def test_the_configs_pipeline_is_used(photos):
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=20),
        PACK,
    ]
    source = find_images(encoder(pipeline=pipeline), str(photos))
    assert source.dataset[0]['inputs'].shape == (3, 20, 20)
    assert source.description == f'{photos}: 60 images of 20 x 20 pixels'
    assert source.bgr and source.labels is source.classes is None


def test_a_draw_is_the_same_for_the_same_seed(photos):
    options = dict(data=str(photos), with_labels=True, max_images=45)
    one = find_images(encoder(), **options)
    two = find_images(encoder(), **options)
    other = find_images(encoder(), **options, seed=1)
    assert one.paths == two.paths != other.paths
    assert len(one) == 45 == len(set(one.paths)) == len(one.views)
    assert one.paths == sorted(one.paths)
    assert one.paths == replace(one, dataset=one.views).paths
    assert len(find_images(encoder(), str(photos), max_images=60)) == 60
    folders = [path.split('/')[-2] for path in one.paths]
    assert folders == [one.classes[label] for label in one.labels]


def test_the_data_set_of_the_config():
    own = encoder(
        dataset=dict(type='TinyImages', num_images=50), pipeline=[PACK]
    )
    source = find_images(own, with_labels=True)
    assert len(source) == 50 and source.classes == list('abcd')
    assert source.labels[:6].tolist() == [0, 1, 2, 3, 0, 1]
    assert source.views is None  # nothing is said about views
    crop = dict(type='CenterCrop', crop_size=8)  # of arrays
    cropped = encoder(**vars(own) | dict(pipeline=[crop, PACK]))
    assert find_images(cropped).views is None
    assert source.paths == [''] * 50 and source.bgr
    assert source.decided_by == "by the pipeline of the checkpoint's config"
    assert source.description.startswith('TinyImages of the config: 50 im')
    arrays = encoder(**vars(own) | dict(preprocess=dict(to_rgb=False)))
    assert not find_images(arrays).bgr


def test_wrong_folders(photos, tmp_path):
    with pytest.raises(ValueError, match='names no data set.*--data DIR'):
        find_images(encoder())
    with pytest.raises(FileNotFoundError, match='data_root'):
        find_images(encoder(), str(tmp_path / 'none'))
    with pytest.raises(ValueError, match="'none'") as caught:
        find_images(
            encoder(
                pipeline=[PACK],
                dataset=dict(type='SklearnDigits', split='none'),
            )
        )
    assert '--data' not in str(caught.value)
    with pytest.raises(ValueError, match='No image in'):
        find_images(encoder(), str(tmp_path))
    with pytest.raises(ValueError, match='15 images; a diagnosis needs'):
        find_images(encoder(), str(photos / 'red'))
    with pytest.raises(ValueError, match='lie outside of any'):
        find_images(encoder(), str(photos / 'red'), True)
    with pytest.raises(ValueError, match="corrupt.*'ignore'(.|\\n)*--data"):
        find_images(encoder(), str(photos), corrupt='ignore')


def test_labels_that_are_not_there(tmp_path):
    own = encoder(dataset=dict(type='TinyImages'), pipeline=[PACK])
    with pytest.raises(ValueError, match='--image-size goes with --data'):
        find_images(own, image_size=32)
    unlabelled = encoder(
        dataset=dict(type='Unlabelled', num_images=50), pipeline=[PACK]
    )
    with pytest.raises(ValueError, match='50 of 50 images .* have no label'):
        find_images(unlabelled, with_labels=True)


def _register():
    from mmpretrain.registry import DATASETS

    from tests.helpers import TinyImages

    @DATASETS.register_module()
    class Unlabelled(TinyImages):
        def load_data_list(self):
            return [
                dict(img=sample['img']) for sample in super().load_data_list()
            ]


_register()


class Labelled(list):
    """Labels as a data set of two named classes."""

    metainfo = dict(classes=('a', 'b'))

    def get_data_info(self, i):
        return dict(gt_label=self[i])


@pytest.mark.parametrize('labels', [[0, 2], [-1, 1]])
def test_a_label_without_a_name(labels):
    dataset = Labelled(labels)
    with pytest.raises(ValueError, match='metainfo.classes'):
        read_labels(dataset, 'images', '')


@pytest.mark.parametrize(
    'labels, found',
    [
        ([0, [1, 0], 1], '1 of 3 images have several labels'),
        ([0, torch.tensor([1]), 1], '1 of 3 images have several labels'),
        ([1, 1], 'have one only'),
        ([0, None, 1], '1 of 3 images have no label: mend'),
    ],
)
def test_labels_that_are_not_one_of_several(labels, found):
    with pytest.raises(ValueError, match=found):
        read_labels(Labelled(labels), 'images', 'mend')


def test_classes_without_names_are_numbers():
    dataset = Labelled([2, 0])
    dataset.metainfo = {}
    labels, names = read_labels(dataset, 'images', '')
    assert labels.tolist() == [2, 0] and names == ['0', '1', '2']
    dataset.metainfo = dict(classes=list('abcd'))  # of the last are none
    assert read_labels(dataset, 'images', '')[1] == list('abcd')


@pytest.mark.parametrize('number', [39, 40])
def test_forty_images_are_enough(number):
    own = encoder(
        dataset=dict(type='TinyImages', num_images=number), pipeline=[PACK]
    )
    if number == 40:
        assert len(find_images(own)) == 40
        return
    with pytest.raises(ValueError, match='TinyImages of the config has 39'):
        find_images(own)


def trained_with(num_views, **step):
    view = dict(TWO_VIEWS[0], num_views=num_views, **step)
    loader = dict(dataset=dict(pipeline=[view, PACK]))
    return encoder(
        dataset=dict(type='TinyImages', num_images=40),
        pipeline=[PACK],
        config=dict(train_dataloader=loader),
    )


@pytest.mark.parametrize('num_views', [2, [2], [1, 1], [2, 6], 3])
def test_the_two_views_of_the_training(num_views):
    crop = [dict(type='RandomCrop', crop_size=6)]
    transforms = [crop] * (len(num_views) if type(num_views) is list else 1)
    views = find_images(trained_with(num_views, transforms=transforms)).views
    if num_views in (3, [2, 6]):
        assert views is None
        return
    assert [v.shape[1:] for v in views[0]['inputs']] == [(6, 6)] * 2


def test_the_views_of_files_are_crops_as_large_as_the_images(photos):
    source = find_images(encoder(), str(photos), image_size=24)
    (step,) = source.views.pipeline.transforms[1:-1]
    (crop, flip), (other, _) = (t.transforms for t in step.transforms)
    assert crop.crop_ratio_range == other.crop_ratio_range == (0.2, 1.0)
    assert crop.scale == (24, 24) and crop.backend == 'pillow'
    assert flip.prob == 0.5


def test_a_fingerprint_is_of_everything(tmp_path):
    files = [tmp_path / name for name in 'ab']
    for file in files:
        file.write_text('x')
        os.utime(file, ns=(10**9, 10**9))

    def images(**changes):
        values = dict(labels=torch.tensor([0, 1]), description='d')
        dataset = TinyImages(
            num_images=2, pipeline=changes.pop('pipeline', [])
        )
        rows = [dict(img_path=str(p)) for p in changes.pop('paths', files)]
        dataset.get_data_info = rows.__getitem__
        values = dict(values, classes=None, decided_by='', views=None)
        return ImageSource(dataset, **{**values, **changes}).fingerprint()

    first = images()
    prints = [
        images(paths=files[::-1]),
        images(paths=[files[0], tmp_path / 'gone']),
        images(labels=None),
        images(labels=torch.tensor([1, 0])),
        images(pipeline=[PACK]),
        images(views=TinyImages(pipeline=[])),
        images(views=TinyImages(pipeline=[PACK])),
        images(description='e'),
    ]
    os.utime(files[1], ns=(10**9, 10**9 + 1))
    prints.append(images())
    files[1].write_text('xy')
    os.utime(files[1], ns=(10**9, 10**9))
    prints.append(images())
    assert len({first, *prints}) == 1 + len(prints)
    files[1].write_text('x')
    os.utime(files[1], ns=(10**9, 10**9))
    assert images() == first


def test_a_part_has_the_images_labels_and_views_of_its_rows():
    images, views = TinyImages(num_images=6), TinyImages(num_images=6, seed=1)
    whole = ImageSource(images, views, torch.arange(6), list('abcd'), '', '')
    part = whole.select([4, 1])
    assert part.labels.tolist() == [4, 1] and len(whole) == 6
    for got, data in ((part.dataset, images), (part.views, views)):
        for i, row in enumerate((4, 1)):
            same = (
                got.get_data_info(i)['img'] == data.get_data_info(row)['img']
            )
            assert len(got) == 2 and same.all()
    bare = replace(whole, labels=None, views=None).select([4])
    assert bare.labels is None and bare.views is None and len(bare) == 1
