# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What pauc_mm needs, and the check that runs before it imports anything.

Standard library only: this must work where nothing else is installed. The
ranges are those of requirements/*.txt, the tested versions those of
requirements/constraints.txt; a test keeps them equal.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import NamedTuple

MMCV_LITE = '"mmcv-lite>=2.0.1,<2.2"'


class Requirement(NamedTuple):
    """One dependency.

    Attributes:
        module (str): Name to import.
        dists (tuple[str, ...]): Distributions that provide the module; they
            exclude each other.
        allowed (str): Range of versions, comma separated.
        tested (str): Version of the tested set.
        install (str): Arguments for ``pip install``.
        hard (bool): Whether ``import pauc_mm`` needs it.
    """

    module: str
    dists: tuple[str, ...]
    allowed: str
    tested: str
    install: str
    hard: bool = False

    @property
    def name(self) -> str:
        """Name for messages: the first distribution."""
        return self.dists[0]


FAISS_DISTS = (
    'faiss-cpu',
    'faiss-gpu',
    'faiss-gpu-cu11',
    'faiss-gpu-cu12',
    'faiss',
)

NUMPY = Requirement(
    'numpy', ('numpy',), '>=1.22', '2.4.6', '"numpy>=1.22"', True
)
# In the order in which to install. mmcv itself goes up to 2.4 with mmpretrain;
# only mmdet wants it below 2.2.
RUNTIME = (
    Requirement(
        'torch',
        ('torch',),
        '>=2.1',
        '2.14.1',
        '"torch>=2.1" torchvision',
        True,
    ),
    Requirement(
        'torchvision',
        ('torchvision',),
        '>=0.16',
        '0.29.1',
        'torch "torchvision>=0.16"',
        True,
    ),
    NUMPY,
    Requirement(
        'mmengine',
        ('mmengine', 'mmengine-lite'),
        '>=0.10.4,<1',
        '0.10.7',
        '"mmengine>=0.10.4,<1"',
        True,
    ),
    Requirement(
        'mmcv',
        ('mmcv-lite', 'mmcv', 'mmcv-full'),
        '>=2.0.1,<2.4',
        '2.1.0',
        MMCV_LITE,
        True,
    ),
    Requirement(
        'mmpretrain',
        ('mmpretrain',),
        '>=1.2.0,<2',
        '1.2.0',
        '"mmpretrain>=1.2.0,<2"',
        True,
    ),
    Requirement(
        'faiss', FAISS_DISTS, '>=1.7.4', '1.15.1', '"faiss-cpu>=1.7.4"'
    ),
    Requirement('ot', ('POT',), '>=0.9.5', '0.9.7.post1', '"POT>=0.9.5"'),
    Requirement(
        'sklearn',
        ('scikit-learn',),
        '>=1.2',
        '1.9.1',
        '"scikit-learn>=1.2"',
    ),
    Requirement(
        'matplotlib',
        ('matplotlib',),
        '>=3.6',
        '3.11.2',
        '"matplotlib>=3.6"',
    ),
    Requirement('PIL', ('pillow',), '>=9.1', '13.0.0', '"pillow>=9.1"'),
    Requirement('scipy', ('scipy',), '>=1.7', '1.17.1', '"scipy>=1.7"'),
    Requirement('jinja2', ('jinja2',), '>=3', '3.1.6', '"jinja2>=3"'),
    Requirement('rich', ('rich',), '>=12', '15.0.0', '"rich>=12"'),
)
SETUPTOOLS = Requirement(
    'setuptools', ('setuptools',), '<82', '81.0.0', '"setuptools<82"'
)
MMDET = Requirement(
    'mmdet', ('mmdet',), '>=3.2.0,<3.4', '3.3.0', '"mmdet>=3.2.0,<3.4"'
)


def missing_imports() -> list[Requirement]:
    """Hard dependencies that cannot be found; none of them is imported.

    Returns:
        list[Requirement]: Those missing, in the order in which to install.
    """
    return [r for r in RUNTIME if r.hard and find_spec(r.module) is None]


def check_imports() -> None:
    """Refuses to go on without the hard dependencies.

    Raises:
        ImportError: At least one is missing; the message has a command for
            each.
    """
    missing = missing_imports()
    if not missing:
        return
    lines = [f'  {r.module}: pip install {r.install}' for r in missing]
    if any(r.module == 'mmcv' for r in missing):
        lines.append(
            '  (mmcv-lite is enough for pretraining; mmcv with compiled ops '
            'does as well. Never install both.)'
        )
    raise ImportError(
        'pauc_mm needs packages that are not installed:\n'
        + '\n'.join(lines)
        + '\nFor the whole picture run: python -m pauc_mm.check_env',
        name=missing[0].module,
    )


def is_check_env_run() -> bool:
    """Whether the interpreter was started as ``-m pauc_mm.check_env``.

    While Python looks for the module that follows ``-m``, which imports this
    package first, ``sys.argv[0]`` is ``'-m'``. Python 3.10 added
    ``sys.orig_argv``, which names the module as well.
    """
    if sys.argv[:1] != ['-m']:
        return False
    name = 'pauc_mm.check_env'
    return name in getattr(sys, 'orig_argv', [name])
