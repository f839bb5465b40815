# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Declared requirements, and the check that precedes all imports.

Standard library only: this must work where nothing else is installed.
"""

import re
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

# mmcv is not declared: mmcv and mmcv-lite install the same files, so that a
# declared one would overwrite the other.
MMCV_LITE = 'mmcv-lite>=2.0.1,<2.2'
# What `import pauc_mm` needs, in the order in which to install.
HARD = ('torch', 'torchvision', 'numpy', 'mmengine', 'mmcv', 'mmpretrain')
# Distributions that install the same files and so exclude each other.
FAISS = ('faiss-cpu', 'faiss-gpu', 'faiss-gpu-cu11', 'faiss-gpu-cu12', 'faiss')


def declared_ranges() -> dict[str, str]:
    """Return the declared ranges of versions by distribution.

    They are those of the installed package, or of ``requirements`` beside a
    package that is only on ``PYTHONPATH``; mmdet is included.
    """
    try:
        lines = metadata.requires('pauc_mm') or []
        lines = [x for x in lines if 'extra' not in x or 'mmdet' in x]
    except metadata.PackageNotFoundError:
        folder = Path(__file__).resolve().parents[1] / 'requirements'
        files = [folder / f'{name}.txt' for name in ('runtime', 'detection')]
        texts = [file.read_text() for file in files if file.is_file()]
        lines = [line for text in texts for line in text.splitlines()]
    matches = (re.match(r'([\w.-]+)\s*([^;#]*)', line) for line in lines)
    return {m.group(1): m.group(2).strip() for m in matches if m}


def installed_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of installed distributions, ``?`` if damaged."""
    versions = {}
    for name in names:
        try:
            versions[name] = metadata.version(name) or '?'
        except metadata.PackageNotFoundError:
            continue
        except Exception:  # damaged metadata raises various errors
            versions[name] = '?'
    return versions


def install_argument(distribution: str) -> str:
    """Return what follows ``pip install`` for a distribution, in quotes."""
    if distribution == 'mmcv':
        return f'"{MMCV_LITE}"'
    return f'"{distribution}{declared_ranges().get(distribution, "")}"'


def check_imports() -> None:
    """Refuse to go on without the hard dependencies; none is imported.

    Raises:
        ImportError: Naming all that are missing, with a command for each.
    """
    missing = [name for name in HARD if find_spec(name) is None]
    if not missing:
        return
    lines = [f'  {n}: pip install {install_argument(n)}' for n in missing]
    if 'mmcv' in missing:
        lines.append('  (compiled mmcv works too; never install both.)')
    raise ImportError(
        'pauc_mm needs packages that are not installed:\n'
        + '\n'.join(lines)
        + '\nFor a full report run: python -m pauc_mm.check_env',
        name=missing[0],
    )
