# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Do one run: ``python -m experiments.runner.worker FOLDER RUN DIGEST``.

:mod:`~.scheduler` prepares the folder and starts this; a run on several GPUs
(or CPU processes, without a GPU) is started by torchrun.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import sys
import time
from pathlib import Path

import torch

from pauc_mm.utils.files import write_json

from .provenance import hardware, versions
from .result import RunResult
from .run import Run, run_from_json
from .store import RESULT, RunFolder


def execute(path: Path, run: Run, digest: str) -> None:
    """Execute a run in its prepared folder and store the result there.

    Under torchrun the first process alone locks and writes the folder.

    Args:
        path (Path): Folder of the run.
        run (Run): What to do.
        digest (str): Digest of the run when it was scheduled.

    Raises:
        RuntimeError: If another process works in the folder.
        ValueError: If the digest is another one now.
    """
    started = time.perf_counter()
    folder, first = RunFolder(path), _is_first()
    with folder.locked() if first else contextlib.nullcontext():
        if run.digest() != digest:
            raise ValueError(
                f'{run}: its config has changed since the command was '
                'started. Start it again.'
            )
        before = folder.state().get('seconds', 0.0)
        outcome = run.execute(path)
        if not first:
            return
        seconds = before + time.perf_counter() - started
        result = RunResult(
            digest=digest,
            run=json.loads(run.to_json())[1],
            versions=versions(),
            hardware=hardware(),
            threads=torch.get_num_threads(),
            date=datetime.datetime.now().isoformat(timespec='seconds'),
            seconds=round(seconds, 1),
            **outcome,
        )
        write_json(path / RESULT, result.to_dict())


def _is_first() -> bool:
    # Only torchrun's own variables count: clusters set RANK as well.
    launched = torch.distributed.is_torchelastic_launched()
    return not launched or os.environ['RANK'] == '0'


def main(argv: list[str]) -> None:
    """Execute a run in this process, one of several under torchrun."""
    work = execute
    if torch.distributed.is_torchelastic_launched():
        # torchrun then ends its account with the error.
        from torch.distributed.elastic.multiprocessing.errors import record

        work = record(execute)
    path, run, digest = argv
    work(Path(path), run_from_json(run), digest)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == '__main__':
    main(sys.argv[1:])
