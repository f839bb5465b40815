# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import sys
from collections.abc import Iterable

from mmengine.dist import is_main_process


def progress(batches: Iterable, description: str) -> Iterable:
    """Iterate with a progress bar in the terminal of the main process.

    There is no bar in a file, where it would leave blank lines.
    """
    from rich.progress import track

    return track(
        batches,
        description=description,
        transient=True,
        disable=not (is_main_process() and sys.stdout.isatty()),
    )
