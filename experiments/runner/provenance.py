# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""With what a figure was made."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from pauc_mm.version import __version__

_PACKAGES = ('torch', 'mmengine', 'mmpretrain', 'faiss-cpu', 'numpy')


def versions() -> dict[str, str]:
    """Versions of Python, this package and what its figures depend on."""
    found = dict(python=platform.python_version(), pauc_mm=__version__)
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # such as faiss-cpu where faiss-gpu is installed
    return found


def hardware() -> str:
    """The processor, the cores that may be used, and the GPU if there is one.

    Returns:
        str: Such as 'AMD EPYC 7763, 2 cores'.
    """
    import torch

    text = f'{_processor()}, {usable_cores()} cores'
    if torch.cuda.is_available():
        text += f', {torch.cuda.get_device_name()}'
    return text


def usable_cores() -> int:
    """Cores that this process may use."""
    usable = getattr(os, 'sched_getaffinity', lambda pid: ())(0)
    return len(usable) or os.cpu_count() or 1


def _processor() -> str:
    file = Path('/proc/cpuinfo')
    if file.is_file():
        for line in file.read_text(encoding='utf-8').splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    return platform.processor() or platform.machine()
