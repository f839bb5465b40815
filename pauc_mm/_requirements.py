# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Declared requirements, and the check that precedes all imports.

Standard library only: this must work where nothing else is installed.
"""

import re
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

# The distributions that give OpenMMLab's modules, by stack. mmcv is not
# declared: mmcv and mmcv-lite install the same files, so that a declared one
# would overwrite the other.
STACKS = {
    'openmmlab': dict(
        mmengine='mmengine',
        mmcv='mmcv-lite',
        mmpretrain='mmpretrain',
        mmdet='mmdet',
    ),
    'onedl': dict(
        mmengine='onedl-mmengine',
        mmcv='onedl-mmcv',
        mmpretrain='onedl-mmpretrain',
        mmdet='onedl-mmdetection',
    ),
}
UNDECLARED = {'mmcv-lite': '>=2.0.1,<2.2'}
# What `import pauc_mm` needs, in the order in which to install.
HARD = ('torch', 'torchvision', 'numpy', 'mmengine', 'mmcv', 'mmpretrain')
# Distributions that install the same files and so exclude each other.
FAISS = ('faiss-cpu', 'faiss-gpu', 'faiss-gpu-cu11', 'faiss-gpu-cu12', 'faiss')
UPSTREAM = ('mmengine', 'mmengine-lite', 'mmcv-lite', 'mmcv', 'mmcv-full')
UPSTREAM += ('mmpretrain', 'mmdet')


def installed_stack() -> str:
    """Return the stack that is installed, or more so: a key of STACKS."""
    ours, theirs = _installed_stacks()
    return 'onedl' if len(theirs) > len(ours) else 'openmmlab'


def stack_mixture() -> tuple[str, str]:
    """Return what is wrong if both stacks are installed, and pip's arguments.

    Returns:
        tuple[str, str]: Both empty if all is of one stack. The arguments are
        separated by ``'&&'``: what to remove, and what to install.
    """
    ours, theirs = _installed_stacks()
    if not (ours and theirs):
        return '', ''
    stack = installed_stack()
    problem = (
        f'{" and ".join(ours)} of OpenMMLab and {" and ".join(theirs)} of its '
        'continuation are mixed; they have the same modules'
    )
    names = [m for m in STACKS[stack] if m != 'mmdet']
    if {'mmdet', 'onedl-mmdetection'} & {*ours, *theirs}:
        names.append('mmdet')
    install = ' '.join(install_argument(name) for name in names)
    remove = ' '.join((*ours, *theirs))
    return problem, f'uninstall -y {remove}&&install {install}'


def _installed_stacks() -> tuple[dict[str, str], dict[str, str]]:
    theirs = installed_versions(tuple(STACKS['onedl'].values()))
    return installed_versions(UPSTREAM), theirs


def declared_ranges(stack: str = '') -> dict[str, str]:
    """Return the declared ranges of versions by distribution.

    They are those of the installed package, or of ``requirements`` beside a
    package that is only on ``PYTHONPATH``. OpenMMLab's are by module,
    mmdet included, and those of one stack (default: what is installed).
    """
    try:
        lines = metadata.requires('pauc_mm') or []
    except metadata.PackageNotFoundError:
        folder = Path(__file__).resolve().parents[1] / 'requirements'
        names = 'runtime', 'openmmlab', 'detection', 'onedl', 'onedl-detection'
        files = [folder / f'{name}.txt' for name in names]
        texts = [file.read_text() for file in files if file.is_file()]
        lines = [line for text in texts for line in text.splitlines()]
    matches = [re.match(r'([\w.-]+)\s*([^;#]*)', line) for line in lines]
    found = {m[1]: (m[2].strip(), 'extra' in m.string) for m in matches if m}
    ranges = {k: v for k, (v, extra) in found.items() if not extra}
    for names in STACKS.values():
        for name in names.values():
            ranges.pop(name, None)
    for module, name in STACKS[stack or installed_stack()].items():
        if name in found:
            ranges[module] = found[name][0]
    return ranges


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


def install_argument(name: str, stack: str = '') -> str:
    """Return what follows ``pip install`` for a module or distribution.

    In quotes; a module of OpenMMLab is given by the stack (default: what is
    installed).
    """
    distribution = STACKS[stack or installed_stack()].get(name, name)
    allowed = declared_ranges(stack).get(name, '')
    return f'"{distribution}{UNDECLARED.get(distribution, allowed)}"'


def check_imports() -> None:
    """Refuse to go on without the hard dependencies; none is imported.

    Raises:
        ImportError: Naming all that are missing, with a command for each, or
            both stacks of OpenMMLab if they are mixed.
    """
    full = '\nFor a full report run: python -m pauc_mm.check_env'
    problem, arguments = stack_mixture()
    if problem:
        steps = ' && '.join(f'pip {x}' for x in arguments.split('&&'))
        raise ImportError(f'{problem}. Install one:\n  {steps}{full}')
    missing = [name for name in HARD if find_spec(name) is None]
    if not missing:
        return
    lines = [
        f'  {n}: pip install {install_argument(n)}'
        for n in missing
        if n not in STACKS['onedl'] or any(_installed_stacks())
    ]
    wanted = [name for name in missing if name in STACKS['onedl']]
    if wanted and not any(_installed_stacks()):
        for start, stack in (
            ('  OpenMMLab', 'openmmlab'),
            ('  or its continuation, with newer releases', 'onedl'),
        ):
            names = ' '.join(install_argument(n, stack) for n in wanted)
            lines.append(f'{start}: pip install {names}')
    if 'mmcv' in missing and installed_stack() == 'openmmlab':
        lines.append('  (compiled mmcv works too; never install both.)')
    raise ImportError(
        'pauc_mm needs packages that are not installed:\n'
        + '\n'.join(lines)
        + full,
        name=missing[0],
    )
