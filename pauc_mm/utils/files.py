# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Atomic writing."""

import json
import os
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically: a kill in between leaves the old file.

    Raises:
        OSError: If it cannot be written; the old file is then untouched.
    """
    path = Path(path)
    part = path.with_name(f'{path.name}.part-{os.getpid()}')
    try:
        part.write_text(text, encoding='utf-8')
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Write plain data as JSON, atomically."""
    write_text(path, json.dumps(data, indent=1) + '\n')
