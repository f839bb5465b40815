# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from pauc_mm.utils.progress import progress

from .annotation_problems import Problems, missing_files
from .coco_boxes import TOLERANCE

CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')


def check_voc(
    ann_file: str,
    root: str,
    classes: Sequence[str],
    filter_empty: bool,
    img_subdir: str = 'JPEGImages',
    ann_subdir: str = 'Annotations',
) -> list[str]:
    """Looks for what is wrong in annotations in VOC's form.

    Args:
        ann_file (str): List of images, one name without extension a line.
        root (str): Folder with the images and the annotations.
        classes (sequence of str): Names of the classes that are learnt.
        filter_empty (bool): Whether mmdet leaves images without boxes out.
        img_subdir (str): Folder of the images in ``root``.
            Defaults to 'JPEGImages'.
        ann_subdir (str): Folder of the XML files. Defaults to 'Annotations'.

    Returns:
        list[str]: What is to be told, although it is no error.

    Raises:
        FileNotFoundError: There is no such list.
        ValueError: A name is listed twice; an image or its XML file is
            missing or not in this form; a box has no area or is more than two
            pixels outside of its image, or all images are empty. All of it is
            in the message, with examples.
    """
    if not Path(ann_file).is_file():
        raise FileNotFoundError(
            f"there is no list of images '{ann_file}' "
            f'({Path(ann_file).absolute()}).'
        )
    problems = Problems(ann_file)
    lines = Path(ann_file).read_text(encoding='utf-8').splitlines()
    twice = [name for name, n in Counter(lines).items() if n > 1]
    problems.add(twice, 'names are listed twice', 'Remove one of each.')
    gone = {}
    for folder, end in ((img_subdir, '.jpg'), (ann_subdir, '.xml')):
        names = [f'{folder}/{line}{end}' for line in lines]
        gone[end] = set(missing_files(root, names))
        problems.add(
            [names[i] for i in sorted(gone[end])],
            f"files are listed but not in '{root}'",
            'Add them, or take the names out of the list.',
        )
    wrong: dict[str, list[str]] = dict(form=[], flat=[], outside=[])
    unknown: Counter = Counter()
    empty = 0
    for i, line in enumerate(progress(lines, 'annotations')):
        if i in gone['.xml']:
            continue
        path = Path(root) / ann_subdir / f'{line}.xml'
        image = Path(root) / img_subdir / f'{line}.jpg'
        try:
            size, objects = _read(path, image)
        except (ValueError, OSError) as error:
            wrong['form'].append(f'{path.name}: {error}')
            continue
        empty += not any(name in classes for name, _ in objects)
        for name, box in objects:
            if name not in classes:
                unknown[name] += 1
            kind = _judge(box, size)
            if kind:
                wrong[kind].append(
                    f'{path.name} ({size[0]} x {size[1]}), {name}, '
                    + ', '.join(f'{k} {v:g}' for k, v in zip(CORNERS, box))
                )
    problems.add(
        wrong['form'], "files are not in VOC's form", 'Correct or remove them.'
    )
    problems.add(
        wrong['flat'],
        'boxes have no area',
        'xmax and ymax must be larger than xmin and ymin; correct or remove '
        'them.',
    )
    problems.add(
        wrong['outside'],
        f'boxes are more than {TOLERANCE:g} pixels outside of their image',
        'Pixels count from 1 to the width and the height; correct or remove '
        'them.',
    )
    problems.count_empty(empty, len(lines), filter_empty)
    if unknown:
        problems.notes.append(
            f"'{ann_file}': mmdet leaves {sum(unknown.values())} objects out, "
            f'which are of no class of the data set: '
            f'{", ".join(sorted(unknown)[:5])}.'
        )
    problems.end()
    return problems.notes


def _read(path: Path, image: Path) -> tuple:
    """Width and height, and the name and corners of each object."""
    try:
        root = ET.parse(path).getroot()
    except ET.ParseError as error:
        raise ValueError(f'it is no XML ({error})') from error
    size = root.find('size')
    if size is None:  # mmdet opens the image then
        with Image.open(image) as opened:
            shape = opened.size
    else:
        shape = tuple(int(_number(size, k)) for k in ('width', 'height'))
    objects = []
    for item in root.findall('object'):
        name, box = item.findtext('name'), item.find('bndbox')
        if not name or box is None:
            raise ValueError('an object has no name or no bndbox')
        objects.append((name, [_number(box, key) for key in CORNERS]))
    return shape, objects


def _number(parent: ET.Element, key: str) -> float:
    text = parent.findtext(key)
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f'{parent.tag}.{key} is {text!r}, not a number')
    return value


def _judge(box: Sequence[float], size: tuple[int, int]) -> str:
    """'' for a good box, else what it is."""
    x1, y1, x2, y2 = box
    if x2 <= x1 or y2 <= y1:
        return 'flat'
    width, height = size
    inside = (
        min(x1, y1) >= 1 - TOLERANCE
        and x2 <= width + TOLERANCE
        and y2 <= height + TOLERANCE
        and x1 <= width
        and y1 <= height
        and min(x2, y2) >= 1
    )
    return '' if inside else 'outside'
