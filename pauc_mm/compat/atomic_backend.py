# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend


class AtomicBackend(LocalBackend):
    """Local files that are either complete or absent.

    A run that is killed while it writes a checkpoint must not leave half a
    file under the name of a whole one. Bytes go to a hidden file beside the
    target, to the disk, and only then under the target's name.

    Used as ``CheckpointHook(backend_args=dict(backend='atomic'))``.
    """

    def put(self, obj: bytes | memoryview, filepath: str | Path) -> None:
        """Write bytes so that ``filepath`` never holds a part of them.

        Args:
            obj (bytes or memoryview): Content.
            filepath (str or Path): Target; its folder is made if missing.

        Raises:
            OSError: If the disk is full, say; the target is then untouched.
        """
        target = Path(filepath)
        target.parent.mkdir(parents=True, exist_ok=True)
        for left_over in target.parent.glob(f'.{target.name}.part-*'):
            left_over.unlink()
        part = target.parent / f'.{target.name}.part-{os.getpid()}'
        try:
            with open(part, 'wb') as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)


register_backend('atomic', AtomicBackend, force=True)
