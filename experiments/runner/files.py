# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""File names for backups."""

from __future__ import annotations

from pathlib import Path


def free_name(path: Path) -> Path:
    """Return the first of ``NAME.1``, ``NAME.2``, ... that does not exist."""
    number = 1
    while (aside := path.with_name(f'{path.name}.{number}')).exists():
        number += 1
    return aside


def keep_aside(path: Path) -> Path:
    """Rename a file to the first free of ``NAME.1``, ``NAME.2`` and so on.

    Returns:
        Path: The new name; the highest number is the newest.
    """
    aside = free_name(path)
    path.rename(aside)
    return aside
