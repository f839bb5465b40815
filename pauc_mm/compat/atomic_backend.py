# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import os
import shutil
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend


class AtomicBackend(LocalBackend):
    """Local files that are either complete or absent.

    A run that is killed while it writes a checkpoint must not leave half a
    file under the name of a whole one. Bytes go to a hidden file beside the
    target, to the disk, and only then under the target's name. mmengine
    removes the oldest checkpoint before it writes the newest: a file that is
    removed is deleted after the next one is whole.

    Used as ``CheckpointHook(backend_args=dict(backend='atomic'))``.
    """

    _removed: list[Path] = []  # of all instances

    def remove(self, filepath: str | Path) -> None:
        """Delete a file after the next :meth:`put`."""
        self._removed.append(Path(filepath))

    def put(self, obj: bytes | memoryview, filepath: str | Path) -> None:
        """Write bytes so that ``filepath`` never holds a part of them.

        Its folder is made if it is missing.

        Raises:
            OSError: If the disk is full, say; the target is then untouched,
                and nothing has been removed.
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
        except OSError as error:
            part.unlink(missing_ok=True)
            free = shutil.disk_usage(target.parent).free
            raise OSError(
                error.errno,
                f'{error.strerror}: {len(obj) / 1e6:.1f} MB are to be written '
                f'and {free / 1e6:.1f} MB are free',
                str(target),
            ) from None  # closing the file raised it once more
        finally:
            part.unlink(missing_ok=True)
        while self._removed:
            if (old := self._removed.pop()) != target:
                old.unlink(missing_ok=True)


register_backend('atomic', AtomicBackend, force=True)
