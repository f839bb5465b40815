# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from .annotation_problems import Problems, missing_files
from .coco_boxes import AnnotationNames, check_boxes
from .coco_file import read_coco


def check_coco(
    ann_file: str,
    image_root: str,
    classes: Sequence[str],
    filter_empty: bool,
    masks: bool = False,
    training: bool = True,
) -> tuple[list[str], list[str]]:
    """Looks for what is wrong in annotations in COCO's form.

    Args:
        ann_file (str): The file.
        image_root (str): Folder of the images.
        classes (sequence of str): Names of the classes that are learnt.
        filter_empty (bool): Whether mmdet leaves images without boxes out.
        masks (bool): Whether masks are needed. Defaults to False.
        training (bool): Whether it is trained on. Defaults to True.

    Returns:
        tuple[list[str], list[str]]: What is to be told, although it is no
        error; and the classes by their labels, which mmdet numbers in the
        order of the file's categories.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not in this form; ids are used twice or unknown; an
            image has no file; a box has no area, is no box, or is more than
            two pixels outside of its image, or all images are empty. All of
            it is in the message, with examples.
    """
    problems = Problems(ann_file)
    content = read_coco(ann_file)
    images, categories = content['images'], content['categories']
    annotations = content.get('annotations')
    _check_images(images, image_root, problems)
    known = _check_classes(categories, classes, problems)
    labels = [c['name'] for c in categories if c['name'] in known]
    if annotations is None:  # as in image_info_test2017.json
        problems.end()
        return problems.notes, labels
    position = {image['id']: i for i, image in enumerate(images)}
    where = _lookup(annotations, 'image_id', position)
    kind = _lookup(
        annotations, 'category_id', {c['id']: 0 for c in categories}
    )
    tell = AnnotationNames(annotations, images, where)
    problems.add(
        tell(where < 0),
        'annotations belong to an image that is not listed',
        "Add it to 'images', or remove them.",
    )
    problems.add(
        tell(kind < 0),
        'annotations have a category that is not listed',
        "Add it to 'categories', or remove them.",
    )
    _check_ids(annotations, problems)
    check_boxes(annotations, images, where, tell, problems, training)
    if masks:
        none = [not a.get('segmentation') for a in annotations]
        problems.add(
            tell(np.array(none, dtype=bool)),
            'annotations have no segmentation, which a pipeline with '
            'with_mask=True needs',
            'Add it, or remove them.',
        )
    learnt = {c['id'] for c in categories if c['name'] in known}
    full = {a['image_id'] for a in annotations if a['category_id'] in learnt}
    problems.count_empty(
        sum(image['id'] not in full for image in images),
        len(images),
        filter_empty,
    )
    problems.end()
    return problems.notes, labels


def _check_images(
    images: list[dict], image_root: str, problems: Problems
) -> None:
    count = Counter(image['id'] for image in images)
    if len(count) < len(images):
        problems.add(
            [f'id {i}' for i, n in count.items() if n > 1],
            'ids are of several images',
            'Give each image an id of its own.',
        )
    names = [image['file_name'] for image in images]
    gone = missing_files(image_root, names)
    problems.add(
        [f'image {images[i]["id"]}, {names[i]}' for i in gone],
        f"images are listed but not in '{image_root}'",
        'Add the files, set data_prefix.img to their folder, or remove the '
        'entries.',
    )


def _check_classes(
    categories: list[dict], classes: Sequence[str], problems: Problems
) -> set[str]:
    names = [category['name'] for category in categories]
    known = set(classes) & set(names)
    missing = [name for name in classes if name not in known]
    if not known:
        problems.add(
            [f'{name!r}' for name in missing],
            "classes of the data set are all not among the file's categories "
            f'({", ".join(map(repr, names[:5]))}, ...)',
            'Set metainfo=dict(classes=...) of the data set, and num_classes '
            'of the heads.',
        )
    elif missing:
        problems.notes.append(
            f"'{problems.source}' has no category for {len(missing)} of the "
            f'{len(classes)} classes: {", ".join(missing[:5])}. mmdet '
            'numbers those that are left, so that labels are no positions in '
            'the classes.'
        )
    return known


def _lookup(entries: list[dict], key: str, table: dict) -> np.ndarray:
    """Where the entries point to, -1 for nowhere, int64, shape (N,)."""
    found = (table.get(entry[key], -1) for entry in entries)
    return np.fromiter(found, np.int64, len(entries))


def _check_ids(annotations: list[dict], problems: Problems) -> None:
    if len({a['id'] for a in annotations}) == len(annotations):
        return
    count = Counter(a['id'] for a in annotations)
    problems.add(
        [f'id {i}' for i, n in count.items() if n > 1],
        'ids are of several annotations',
        'Give each annotation an id of its own.',
    )
