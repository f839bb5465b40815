# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Drawing and converting labelled subsets."""

import os
import shutil

import numpy as np
import pytest

from pauc_mm.datasets.image_list import (
    ImageList,
    read_annotations,
    read_class_folders,
    write_annotations,
)
from pauc_mm.datasets.labelled_subset import (
    check_classes,
    draw_rows,
    select_listed,
)


@pytest.fixture
def folder(tmp_path):
    """10 images of ant, 4 of bee, 1 of 'car park', and what is no image."""
    for name, count in (('bee', 4), ('ant', 10), ('car park', 1)):
        (tmp_path / name).mkdir()
        for i in range(count):
            (tmp_path / name / f'{name[0]}_{i}.JPEG').touch()
    (tmp_path / 'ant' / 'notes.txt').touch()
    (tmp_path / '.cache').mkdir()
    (tmp_path / 'readme.md').touch()
    return tmp_path


def images(labels):
    labels = np.asarray(labels)
    paths = [f'{label}/{i}.jpg' for i, label in enumerate(labels)]
    classes = [f'class{i}' for i in range(max(labels) + 1)]
    return ImageList('there', paths, labels, classes)


# ---- reading ----------------------------------------------------------------
def test_labels_are_mmpretrains(folder):
    from mmpretrain.datasets import CustomDataset

    shutil.rmtree(folder / '.cache')  # which it takes for a class
    theirs = CustomDataset(data_root=str(folder))
    ours = read_class_folders(str(folder))
    prefix = len(str(folder)) + 1
    assert ours.classes == ['ant', 'bee', 'car park']
    assert dict(zip(ours.paths, ours.labels)) == {
        theirs.get_data_info(i)['img_path'][prefix:]: theirs.get_data_info(i)[
            'gt_label'
        ]
        for i in range(len(theirs))
    }
    assert ours.counts().tolist() == [10, 4, 1]


def test_order_of_the_file_system_does_not_count(folder, monkeypatch):
    before = read_class_folders(str(folder))
    listdir, walk = os.listdir, os.walk

    def turned(path):
        return listdir(path)[::-1]

    def turned_walk(*args, **kwargs):
        for where, folders, files in walk(*args, **kwargs):
            yield where, folders, files[::-1]

    monkeypatch.setattr(os, 'walk', turned_walk)
    monkeypatch.setattr(os, 'listdir', turned)
    after = read_class_folders(str(folder))
    assert after.paths == before.paths
    assert after.labels.tolist() == before.labels.tolist()


def test_what_is_written_is_read_by_mmpretrain(folder, tmp_path):
    from mmpretrain.datasets import CustomDataset

    ours = read_class_folders(str(folder))
    out = tmp_path / 'new/list.txt'
    write_annotations(ours, str(out))
    theirs = CustomDataset(data_root=str(folder), ann_file=str(out))
    assert theirs.get_gt_labels().tolist() == ours.labels.tolist()
    path = theirs.get_data_info(14)['img_path']
    assert path == str(folder / 'car park/c_0.JPEG')
    again = read_annotations(str(out))
    assert again.paths == ours.paths
    assert again.labels.tolist() == ours.labels.tolist()
    assert sorted(p.name for p in out.parent.iterdir()) == ['list.txt']


def test_wrong_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match='no folder'):
        read_class_folders(str(tmp_path / 'no'))
    with pytest.raises(ValueError, match='has no sub-folders'):
        read_class_folders(str(tmp_path))
    (tmp_path / 'train').mkdir()
    (tmp_path / 'val').mkdir()
    with pytest.raises(ValueError, match="give '.*train'"):
        read_class_folders(str(tmp_path))


@pytest.mark.parametrize(
    'text, message',
    [
        ('a/x.jpg 0\na/y.jpg\n', "line 2: expected 'path label'"),
        ('a/x.jpg one\n', 'line 1'),
        ('a/x.jpg -1\n', 'line 1'),
        ('a/x.jpg 0\n\na/x.jpg 0\n', 'listed twice, in lines 1 and 3'),
        ('\n \n', 'lists no image'),
    ],
)
def test_wrong_annotations(tmp_path, text, message):
    path = tmp_path / 'list.txt'
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_annotations(str(path))


def test_list_is_no_text(tmp_path):
    path = tmp_path / 'list.txt'
    path.write_bytes(b'\xff\xd8\xff\xe0\x00\x10JFIF')
    with pytest.raises(ValueError, match='UTF-8'):
        read_annotations(str(path))
    with pytest.raises(FileNotFoundError, match='no list'):
        read_annotations(str(tmp_path / 'no.txt'))


# ---- drawing ----------------------------------------------------------------
@pytest.mark.parametrize(
    'size, fraction, expected',
    [
        (1300, 0.01, 13),  # ImageNet's largest and smallest classes
        (732, 0.01, 7),
        (732, 0.1, 73),
        (5, 0.1, 1),  # 0.5, up
        (25, 0.1, 3),  # 2.5, up
        (15, 0.1, 2),
        (4, 0.1, 1),  # at least one
        (1, 0.01, 1),
        (7, 1.0, 7),
    ],
)
def test_numbers(size, fraction, expected):
    rows = draw_rows(np.zeros(size, int), fraction)
    assert len(rows) == expected
    assert (np.diff(rows) > 0).all() and rows.min() >= 0 and rows.max() < size


def test_each_class_has_its_share():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], 40))
    rows = draw_rows(labels, per_class=7, seed=3)
    assert np.bincount(labels[rows]).tolist() == [7, 7, 7]
    assert np.array_equal(rows, draw_rows(labels, per_class=7, seed=3))
    assert not np.array_equal(rows, draw_rows(labels, per_class=7, seed=4))


def test_less_is_a_part_of_more():
    labels = np.repeat(np.arange(5), 200)
    small, large = (set(draw_rows(labels, f, seed=1)) for f in (0.01, 0.1))
    assert small < large


def test_classes_are_drawn_apart():
    labels = np.repeat(np.arange(3), 50)
    rows = draw_rows(labels, 0.2)
    assert len({tuple(rows[labels[rows] == c] % 50) for c in range(3)}) == 3
    kept = labels != 1
    left = np.flatnonzero(kept)[draw_rows(labels[kept], 0.2)]
    assert left.tolist() == [r for r in rows if labels[r] != 1]


def test_every_image_is_as_likely():
    labels = np.zeros(20, int)
    drawn = [draw_rows(labels, per_class=5, seed=s) for s in range(800)]
    counts = np.bincount(np.concatenate(drawn), minlength=20)
    # 200 +- 12.2 each; five deviations
    assert abs(counts - 200).max() < 61


def test_the_stream_is_frozen():
    """Published results must be repeatable: these rows must never change."""
    rows = draw_rows(np.repeat([0, 1], 100), 0.05, seed=0)
    rng = [np.random.RandomState([0, c]).permutation(100)[:5] for c in (0, 1)]
    expected = sorted([*rng[0], *(rng[1] + 100)])
    assert rows.tolist() == expected == FROZEN


FROZEN = [13, 16, 21, 37, 97, 108, 125, 152, 172, 176]


@pytest.mark.parametrize(
    'kwargs, message',
    [
        ({}, 'either'),
        (dict(fraction=0.1, per_class=1), 'either'),
        (dict(fraction=0.0), 'fraction=0.0'),
        (dict(fraction=1.5), 'fraction=1.5'),
        (dict(fraction=float('nan')), 'fraction=nan'),
        (dict(per_class=0), 'per_class .*0'),
        (dict(per_class=3), 'Class 1 has 2 images, fewer than 3'),
        (dict(fraction=0.1, seed=-1), 'seed=-1'),
    ],
)
def test_wrong_draws(kwargs, message):
    with pytest.raises(ValueError, match=message):
        draw_rows(np.array([0, 0, 0, 1, 1]), **kwargs)


def test_classes_with_few_images():
    with pytest.raises(ValueError) as error:
        check_classes(images([0, 0, 2, 2, 2, 3]), 2)
    assert str(error.value) == (
        "2 of the 4 classes of 'there' have fewer than 2 images: "
        'class1 (0), class3 (1).'
    )
    check_classes(images([0, 0, 1, 1]), 2)


# ---- published lists --------------------------------------------------------
def listed(folder, tmp_path, *lines):
    path = tmp_path / 'published.txt'
    path.write_text('\n'.join(lines) + '\n')
    return select_listed(read_class_folders(str(folder)), str(path))


@pytest.mark.parametrize(
    'lines',
    [
        ('b_1.JPEG', 'c_0.JPEG', 'a_9.JPEG'),  # as SimCLR's
        ('bee/b_1.JPEG', 'car park/c_0.JPEG', '', 'a_9.JPEG'),
        ('bee/b_1.JPEG 1', 'car park/c_0.JPEG 2', 'a_9.JPEG 0'),
    ],
)
def test_published_list(folder, tmp_path, lines):
    taken = listed(folder, tmp_path, *lines)
    assert taken.paths == ['ant/a_9.JPEG', 'bee/b_1.JPEG', 'car park/c_0.JPEG']
    assert taken.labels.tolist() == [0, 1, 2]


def test_name_of_several_images(folder, tmp_path):
    (folder / 'bee' / 'a_1.JPEG').touch()
    taken = listed(folder, tmp_path, 'bee/a_1.JPEG', 'ant/a_1.JPEG')
    assert taken.paths == ['ant/a_1.JPEG', 'bee/a_1.JPEG']
    with pytest.raises(ValueError, match='names of several images') as error:
        listed(folder, tmp_path, 'a_1.JPEG')
    assert 'ant/a_1.JPEG and bee/a_1.JPEG' in str(error.value)


@pytest.mark.parametrize(
    'lines, message',
    [
        (('a_1.JPEG', 'x.JPEG', 'y.JPEG'), r'2 of the 3 .*: x.JPEG, y.JPEG\.'),
        (('bee/a_1.JPEG',), r'are not in .*bee/a_1.JPEG'),
        (('b_1.JPEG', 'bee/b_1.JPEG'), r'more than once.*\(lines 1 and 2\)'),
        (('b_1.JPEG 2',), r'another label .*: b_1.JPEG \(2, not 1\)'),
        (tuple(f'x{i}' for i in range(9)), r'x3, x4, \.\.\.\.$'),
    ],
)
def test_wrong_lists(folder, tmp_path, lines, message):
    with pytest.raises(ValueError, match=message):
        listed(folder, tmp_path, *lines)
