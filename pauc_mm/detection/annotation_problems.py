# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePath

SHOWN = 3


class Problems:
    """What is wrong in one file of annotations.

    Args:
        source (str): The file, for the messages.

    Attributes:
        notes (list[str]): What is to be told, although it is no error.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.notes: list[str] = []
        self._errors: list[str] = []

    def add(self, examples: Sequence[str], what: str, fix: str) -> None:
        """Adds an error, unless there are no examples.

        Args:
            examples (sequence of str): All of them; a few are shown.
            what (str): What they are, in the plural.
            fix (str): What to do, a sentence.
        """
        if not examples:
            return
        shown = '; '.join(examples[:SHOWN])
        more = '; ...' if len(examples) > SHOWN else ''
        self._errors.append(f'{len(examples)} {what}: {shown}{more}. {fix}')

    def count_empty(self, empty: int, total: int, filter_empty: bool) -> None:
        """Tells of images without an object; if all are, adds an error.

        Args:
            empty (int): How many have none of the classes.
            total (int): How many there are.
            filter_empty (bool): Whether mmdet leaves them out.
        """
        if empty == total:
            self._errors.append(
                f'all {total} images are empty: none has an object of the '
                'classes. Check metainfo.classes and the annotations.'
            )
        elif empty and filter_empty:
            self.notes.append(
                f"'{self.source}': {empty} of the {total} images have no "
                'object of the classes, and are left out of the training '
                '(filter_cfg.filter_empty_gt=False would keep them).'
            )

    def end(self) -> None:
        """Says what is wrong, all of it.

        Raises:
            ValueError: If anything was added.
        """
        if self._errors:
            raise ValueError(
                f"annotations '{self.source}':\n  "
                + '\n  '.join(self._errors)
                + '\n(tools/benchmarks/detection/train.py trains on them '
                'with --cfg-options annotation_check=False.)'
            )


def missing_files(root: str, names: Sequence[str]) -> list[int]:
    """Files that are not there; reads each folder once.

    Args:
        root (str): Folder that the names begin in.
        names (sequence of str): Of files, may have folders.

    Returns:
        list[int]: Positions of those that are missing.
    """
    folders: dict[str, set[str]] = {}
    gone = []
    for i, name in enumerate(names):
        parent = str(PurePath(name).parent) if '/' in name else ''
        if parent not in folders:
            path = os.path.join(root, parent)
            there = os.listdir(path) if os.path.isdir(path) else ()
            folders[parent] = set(there)
        if os.path.basename(name) not in folders[parent]:
            gone.append(i)
    return gone
