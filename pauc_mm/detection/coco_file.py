# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any


def _is_id(value: Any) -> bool:
    return isinstance(value, (int, float, str))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    # Not True, which Python counts among the integers.
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


def _is_side(value: Any) -> bool:
    return _is_number(value) and value > 0


_ID = (_is_id, 'a number or a text')
_TEXT = (_is_text, 'a text')
_SIDE = (_is_side, 'a number of pixels above 0')
_AREA = (_is_number, 'a number')
# Keys of the entries, what is allowed, and this in words.
_FORM = dict(
    images=dict(id=_ID, file_name=_TEXT, width=_SIDE, height=_SIDE),
    categories=dict(id=_ID, name=_TEXT),
    annotations=dict(
        id=_ID, image_id=_ID, category_id=_ID, bbox=None, area=_AREA
    ),
)


def read_coco(ann_file: str) -> dict:
    """Reads annotations, with all that mmdet needs of each entry.

    Boxes are not looked at: see :func:`~.coco_boxes.check_boxes`, which names
    all that are wrong at once.

    Args:
        ann_file (str): In COCO's form.

    Returns:
        dict: Of lists of dicts, ``images``, ``categories`` and, if the file
        has any, ``annotations``. Ids are numbers or texts, ``file_name`` and
        ``name`` are texts, ``width`` and ``height`` are above 0, and ``area``
        is finite.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not in this form; the first entry that is not is
            named, and its value.
    """
    if not Path(ann_file).is_file():
        raise FileNotFoundError(
            f"there are no annotations '{ann_file}' "
            f'({Path(ann_file).absolute()}).'
        )
    with open(ann_file, encoding='utf-8') as file:
        try:
            content = json.load(file)
        except ValueError as error:
            raise ValueError(f"'{ann_file}' is not JSON: {error}") from error
    for name, wanted in _FORM.items():
        optional = name == 'annotations'
        entries = content.get(name) if isinstance(content, dict) else None
        if entries is None and optional and isinstance(content, dict):
            continue
        if not isinstance(entries, list) or not (entries or optional):
            raise ValueError(
                f"'{ann_file}' is not in COCO's form: '{name}' must be a list "
                'of at least one entry.'
            )
        for number, entry in enumerate(entries):
            wrong = _judge(entry, wanted)
            if wrong:
                raise ValueError(
                    f"'{ann_file}' is not in COCO's form: entry {number} of "
                    f"'{name}', {str(entry)[:200]}, {wrong}."
                )
    return content


def _judge(entry: Any, wanted: dict) -> str:
    """'' for a good entry, else what is wrong with it."""
    if not isinstance(entry, dict):
        return f'must be a dict of {", ".join(wanted)}'
    lacking = [key for key in wanted if key not in entry]
    if lacking:
        return f'has no {" and no ".join(lacking)}'
    for key, rule in wanted.items():
        if rule is not None and not rule[0](entry[key]):
            value = repr(entry[key])[:100]
            return f'has {key} {value}, which must be {rule[1]}'
    return ''
