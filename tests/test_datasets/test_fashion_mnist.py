# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from mmpretrain.registry import DATASETS

from pauc_mm.datasets import IdxFashionMNIST
from pauc_mm.datasets.fashion_mnist import DIGESTS, read_fashion_mnist

NAMES = (*DIGESTS,)
SHIPPED = os.environ.get(
    'FASHION_MNIST_ROOT', '/usr/share/datasets/fashion-mnist'
)


def idx(images, labels):
    """The two files in Y. LeCun's IDX format."""
    count = len(images).to_bytes(4, 'big')
    side = (28).to_bytes(4, 'big')
    return (
        bytes([0, 0, 8, 3]) + count + side + side + images.tobytes(),
        bytes([0, 0, 8, 1]) + count + labels.tobytes(),
    )


@pytest.fixture(scope='module')
def arrays():
    rng = np.random.default_rng(0)
    labels = np.concatenate([np.arange(60_000) % 10, np.arange(10_000) % 10])
    images = np.zeros((70_000, 28, 28), np.uint8)
    images[::500] = rng.integers(256, size=(140, 28, 28))
    return images, labels.astype(np.uint8)


@pytest.fixture
def root(arrays, tmp_path, monkeypatch):
    images, labels = arrays
    for part, rows in (
        ('train', slice(60_000)),
        ('t10k', slice(60_000, None)),
    ):
        files = zip(
            ('images-idx3', 'labels-idx1'), idx(images[rows], labels[rows])
        )
        for kind, content in files:
            name = f'{part}-{kind}-ubyte'
            (tmp_path / name).write_bytes(content)
            digest = hashlib.md5(content).hexdigest()
            monkeypatch.setitem(DIGESTS, name, digest)
    read_fashion_mnist.cache_clear()
    yield tmp_path
    read_fashion_mnist.cache_clear()


def pack(path):
    content = path.read_bytes()
    path.unlink()
    path.with_name(path.name + '.gz').write_bytes(gzip.compress(content, 1))


def test_split_and_values(root, arrays):
    images, labels = arrays
    train = IdxFashionMNIST(str(root), fraction=1 / 60)
    assert np.bincount(train.get_gt_labels()).tolist() == [100] * 10
    test = IdxFashionMNIST(str(root), split='test', channels=1)
    assert len(test) == 10_000
    for part, rows in (
        ('train', np.arange(60_000)),
        ('test', np.arange(60_000, 70_000)),
        ('all', np.arange(70_000)),
    ):
        np.testing.assert_array_equal(test.rows(labels, part), rows)
    for row in (0, 500, 9_500):
        sample = test.get_data_info(row)
        np.testing.assert_array_equal(sample['img'], images[60_000 + row])
        assert sample['gt_label'] == labels[60_000 + row]
    assert test.CLASSES[9] == 'Ankle boot'


def test_packed_files_in_the_folders_of_torchvision(root, arrays):
    raw = root / 'FashionMNIST' / 'raw'
    raw.mkdir(parents=True)
    for name in NAMES:
        (root / name).rename(raw / name)
        pack(raw / name)
    images, labels = read_fashion_mnist(str(root))
    np.testing.assert_array_equal(images, arrays[0])
    np.testing.assert_array_equal(labels, arrays[1])
    with pytest.raises(ValueError, match='read-only'):
        images[0] = 1


def test_long_tail(root):
    dataset = IdxFashionMNIST(str(root), imbalance=1000)
    sizes = np.bincount(dataset.get_gt_labels())
    assert (sizes[0], sizes[9]) == (6000, 6)


@pytest.mark.parametrize('name', NAMES)
def test_a_missing_file(root, name):
    (root / name).unlink()
    with pytest.raises(FileNotFoundError, match=f'{name}.*FASHION_MNIST_ROOT'):
        IdxFashionMNIST(str(root))


def test_a_file_cut_short(root):
    path = root / NAMES[0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f'{NAMES[0]} .* 47040015 bytes'):
        IdxFashionMNIST(str(root))


def test_a_packed_file_cut_short(root):
    pack(root / NAMES[1])
    path = root / f'{NAMES[1]}.gz'
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=f'{NAMES[1]}.gz is damaged'):
        IdxFashionMNIST(str(root))


def test_a_file_of_another_set(root):
    path = root / NAMES[2]
    content = bytearray(path.read_bytes())
    content[8] = 9
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{NAMES[2]} is not Fashion-MNIST's"):
        IdxFashionMNIST(str(root))


def test_bad_split(root):
    with pytest.raises(ValueError, match='split'):
        IdxFashionMNIST(str(root), split='val')


@pytest.mark.skipif(
    not Path(SHIPPED).is_dir(), reason='dataset-fashion-mnist is not installed'
)
def test_the_original():
    read_fashion_mnist.cache_clear()
    cfg = dict(type='IdxFashionMNIST', data_root=SHIPPED, split='test')
    dataset = DATASETS.build(cfg)
    # The first ten labels of the test set, as its authors' files have them.
    assert dataset.get_gt_labels()[:10].tolist() == [
        9,
        2,
        1,
        1,
        6,
        1,
        4,
        6,
        5,
        7,
    ]
    assert np.bincount(dataset.get_gt_labels()).tolist() == [1000] * 10
    read_fashion_mnist.cache_clear()
