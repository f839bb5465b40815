# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Versions and hardware recorded with each result."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from pauc_mm.version import __version__

_PACKAGES = ('torch', 'mmengine', 'mmpretrain', 'faiss-cpu', 'numpy')


def versions() -> dict[str, str]:
    """Return versions of Python, this package and its dependencies."""
    found = dict(python=platform.python_version(), pauc_mm=__version__)
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # such as faiss-cpu where faiss-gpu is installed
    return found


def hardware() -> str:
    """Describe the processor, the usable cores and the GPU, if any.

    Returns:
        str: Such as 'AMD EPYC 7763, 2 cores'.
    """
    import torch

    text = f'{_processor()}, {usable_cores()} cores'
    if torch.cuda.is_available():
        text += f', {torch.cuda.get_device_name()}'
    return text


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    usable = getattr(os, 'sched_getaffinity', lambda pid: ())(0)
    return len(usable) or os.cpu_count() or 1


def _processor() -> str:
    file = Path('/proc/cpuinfo')
    if file.is_file():
        for line in file.read_text(encoding='utf-8').splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    return platform.processor() or platform.machine()
