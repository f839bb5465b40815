# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measure peak memory in a process of its own."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from _processes import Group

MIB = 2**20


class PeakMeter:
    """Peak growth of this process' memory since the start.

    On Linux the high-water mark of the resident set is put back before each
    piece of work. Where that is not possible ``getrusage`` gives the mark
    since the process began, so that only the highest piece is seen.
    """

    def __init__(self) -> None:
        gc.collect()
        gc.freeze()  # what the imports made; looking through it takes long
        self.start()
        self.baseline = _resident()

    def start(self) -> None:
        """Reset the high-water mark to the resident set.

        Freed memory goes back to the system first, so that it is not counted.
        """
        _release()
        try:
            Path('/proc/self/clear_refs').write_text('5')
        except OSError:
            pass
        if torch.cuda.is_initialized():
            torch.cuda.reset_peak_memory_stats()

    def host(self) -> int:
        """Return the peak growth of the resident set in bytes."""
        return max(_peak() - self.baseline, 0)

    def device(self) -> int:
        """Return the peak bytes of torch on the GPU since :meth:`start`."""
        if not torch.cuda.is_initialized():
            return 0
        return torch.cuda.max_memory_allocated()


def _release() -> None:
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):  # not glibc
        pass


def _status(name: str) -> int:
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise KeyError(name)


def _resident() -> int:
    try:
        return _status('VmRSS')
    except (OSError, KeyError):
        return _usage()


def _peak() -> int:
    try:
        return _status('VmHWM')
    except (OSError, KeyError):
        return _usage()


def _usage() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == 'darwin' else peak * 1024


def _measure(prepare: Callable, run: Callable, args, warm_args) -> float:
    if warm_args is not None:
        run(prepare(*warm_args))
    inputs = prepare(*args)
    meter = PeakMeter()
    result = run(inputs)
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
        peak = meter.device()
    else:
        peak = meter.host()
    del result
    return peak / MIB


def peak_memory_in_subprocess(
    prepare: Callable,
    run: Callable,
    *args,
    warm_args: tuple | None = None,
    threads: int = 1,
    small: bool = False,
) -> float:
    """Measure the peak of ``run(prepare(*args))`` in a fresh process.

    Args:
        prepare (Callable): Makes the inputs; not measured on the CPU. On a
            GPU what it leaves there is counted.
        run (Callable): Measured: what the resident set grows by on a CPU,
            what torch allocates on a GPU. Both functions are at the top of a
            module, for they go to the other process by name.
        *args: Arguments of ``prepare``.
        warm_args (tuple, optional): Arguments for a run before, not measured,
            of a small size: the libraries load code when it is first used.
        threads (int): Threads of torch and faiss. Defaults to 1.
        small (bool): Whether to start the process quickly, see
            :class:`Group`.

    Returns:
        float: MiB.
    """
    with Group(_measure, 1, threads, quick=small) as group:
        return group.run(prepare, run, args, warm_args)[0]
