# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from mmpretrain.datasets import ImageNet
from mmpretrain.registry import DATASETS
from PIL import Image

from pauc_mm.datasets import IMAGENET100_CLASSES, ImageNet100

WNIDS = [wnid for wnid, _ in IMAGENET100_CLASSES]


def save_image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """ImageNet folders: the 100 classes, and others that must be left out."""
    root = tmp_path_factory.mktemp('imagenet')
    for i, wnid in enumerate(WNIDS):
        for j in range(1 + i % 2):
            save_image(root / 'train' / wnid / f'{wnid}_{j}.JPEG')
    for other in ('n01440764', 'n01443537', 'n15075141'):
        save_image(root / 'train' / other / f'{other}_0.JPEG')
    return root


def test_the_list_is_that_of_cmc():
    """Literals from imagenet100.txt of HobbitLong/CMC."""
    assert len(set(WNIDS)) == 100
    assert WNIDS == sorted(WNIDS)
    assert (WNIDS[0], WNIDS[-1]) == ('n01558993', 'n13040303')
    # First three and last three lines of that file.
    assert set(WNIDS) >= {'n02869837', 'n01749939', 'n02488291'}
    assert set(WNIDS) >= {'n03424325', 'n01855672', 'n02090622'}


def test_indices_among_the_1000_classes():
    """Sorted ids have sorted indices, and the known names match."""
    indices = [i for _, i in IMAGENET100_CLASSES]
    assert len(set(indices)) == 100 and indices == sorted(indices)
    names = dict(zip(WNIDS, ImageNet100.METAINFO['classes']))
    assert names['n02085620'] == 'Chihuahua'
    assert names['n02869837'] == 'bonnet, poke bonnet'
    assert names['n01749939'] == 'green mamba'
    assert names['n07836838'] == 'chocolate sauce, chocolate syrup'
    # ILSVRC: index 151 is the Chihuahua, 452 the bonnet.
    assert dict(IMAGENET100_CLASSES)['n02085620'] == 151
    assert dict(IMAGENET100_CLASSES)['n02869837'] == 452


def test_reads_its_classes_only(root):
    dataset = DATASETS.build(
        dict(type='ImageNet100', data_root=str(root), split='train')
    )
    assert len(dataset) == 150
    assert len(dataset.CLASSES) == 100
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        assert WNIDS[info['gt_label']] in info['img_path']
    assert np.bincount(dataset.get_gt_labels()).tolist() == [1, 2] * 50


def test_missing_classes_are_named(root):
    hidden = root / 'train' / 'hidden'
    (root / 'train' / WNIDS[5]).rename(hidden)
    try:
        with pytest.raises(FileNotFoundError, match=f'1 of.*{WNIDS[5]}'):
            ImageNet100(str(root), 'train')
    finally:
        hidden.rename(root / 'train' / WNIDS[5])


def test_another_subset_is_refused(tmp_path):
    save_image(tmp_path / 'val' / WNIDS[0] / 'x.JPEG')
    save_image(tmp_path / 'val' / 'n01440764' / 'y.JPEG')
    with pytest.raises(FileNotFoundError, match=f'99 of.*{WNIDS[1]}'):
        ImageNet100(str(tmp_path), 'val')


def test_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match='data_root'):
        ImageNet100(str(tmp_path / 'nowhere'), 'train')


def test_test_split_is_refused(root):
    with pytest.raises(ValueError, match="split.*'test'"):
        ImageNet100(str(root), 'test')


def test_empty_class_folder(tmp_path):
    for wnid in WNIDS:
        (tmp_path / 'val' / wnid).mkdir(parents=True)
    with pytest.raises(ValueError, match='100 class folders.*no image'):
        ImageNet100(str(tmp_path), 'val')


def flat_val(tmp_path, lines):
    (tmp_path / 'val').mkdir()
    (tmp_path / 'meta').mkdir()
    (tmp_path / 'meta' / 'val.txt').write_text(lines)


def test_flat_validation_folder(tmp_path):
    """mmpretrain's layout, whose labels count the 1000 classes."""
    lines = '\n'.join(f'img {k:04d}.JPEG {k}' for k in range(1000))
    flat_val(tmp_path, lines + '\n')
    dataset = ImageNet100(str(tmp_path), 'val')
    assert dataset.get_gt_labels().tolist() == list(range(100))
    full = ImageNet(str(tmp_path), 'val')
    for i in range(100):
        info = dataset.get_data_info(i)
        index = IMAGENET100_CLASSES[i][1]
        assert info['img_path'].endswith(f'img {index:04d}.JPEG')
        assert dataset.CLASSES[i] == full.CLASSES[index]


@pytest.mark.parametrize('line', ['a.JPEG', 'a.JPEG 1000', 'a.JPEG n01558993'])
def test_malformed_annotation(tmp_path, line):
    flat_val(tmp_path, f'b.JPEG 15\n{line}\n')
    with pytest.raises(ValueError, match='val.txt, line 2'):
        ImageNet100(str(tmp_path), 'val')


def test_annotation_without_its_classes(tmp_path):
    flat_val(tmp_path, 'a.JPEG 0\n')
    with pytest.raises(ValueError, match='no line of the 100 classes'):
        ImageNet100(str(tmp_path), 'val')


def test_class_folders_go_before_an_automatic_annotation_file(tmp_path):
    flat_val(tmp_path, 'a.JPEG 15\n')
    for wnid in WNIDS:
        save_image(tmp_path / 'val' / wnid / 'x.JPEG')
    assert len(ImageNet100(str(tmp_path), 'val')) == 100
    named = ImageNet100(str(tmp_path), 'val', ann_file='meta/val.txt')
    assert len(named) == 1
