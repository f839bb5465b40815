# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Says what is installed, what is wrong and which command mends it.

Run ``python -m pauc_mm.check_env``. It works where dependencies are missing or
broken, and exits with 1 if anything that pretraining needs is wrong.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import re
import shutil
import sys
import warnings
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from ._requirements import (
    FAISS_DISTS,
    MMDET,
    NUMPY,
    RUNTIME,
    SETUPTOOLS,
    Requirement,
)
from .version import __version__

# mmengine 0.10 calls pkgutil.find_loader, which Python 3.14 removed.
PYTHON_ALLOWED = '>=3.10,<3.14'
PYTHON_TESTED = '3.11'


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        name (str): Distribution, or another thing that was looked at.
        installed (str): Version, or ``-``.
        allowed (str): Range of versions.
        tested (str): Version of the tested set.
        status (str): ``ok``, ``wrong``, ``missing``, or ``note``: imperfect,
            but pretraining works.
        problem (str): What is wrong; empty if nothing.
        fix (str): Command that mends it; empty if nothing is wrong.
    """

    name: str
    installed: str
    allowed: str
    tested: str
    status: str
    problem: str = ''
    fix: str = ''

    @property
    def fatal(self) -> bool:
        """Whether pretraining cannot work."""
        return self.status in ('wrong', 'missing')


def parse_version(version: str) -> tuple[int, ...]:
    """Release numbers of a version; suffixes such as ``+cpu`` are dropped.

    Args:
        version (str): For example ``'0.9.7.post1'``.

    Returns:
        tuple[int, ...]: For example ``(0, 9, 7)``, without trailing zeros.
    """
    match = re.match(r'\d+(\.\d+)*', version)
    numbers = [int(n) for n in match.group().split('.')] if match else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def in_range(version: str, allowed: str) -> bool:
    """Whether a version satisfies all parts of a range.

    Args:
        version (str): Installed version.
        allowed (str): Parts such as ``>=1.2`` or ``<2``, comma separated.

    Returns:
        bool: True if it does.

    Raises:
        ValueError: A part has another operator than ``>=`` or ``<``.
    """
    number = parse_version(version)
    for part in allowed.split(','):
        match = re.fullmatch(r'(>=|<)(\d[\d.]*)', part.strip())
        if match is None:
            raise ValueError(f"cannot read the version range '{allowed}'")
        bound = parse_version(match.group(2))
        if (number >= bound) != (match.group(1) == '>='):
            return False
    return True


def installed_versions(dists: tuple[str, ...]) -> dict[str, str]:
    """Versions of those distributions that are installed.

    Args:
        dists (tuple[str, ...]): Names of distributions.

    Returns:
        dict[str, str]: Name to version; ``?`` where metadata is damaged.
    """
    found = {}
    for dist in dists:
        try:
            found[dist] = metadata.version(dist) or '?'
        except metadata.PackageNotFoundError:
            continue
        except Exception:  # damaged metadata raises various errors
            found[dist] = '?'
    return found


def pip(arguments: str) -> str:
    """A pip command for the interpreter that runs this.

    Args:
        arguments (str): What follows ``pip``.

    Returns:
        str: The command line.
    """
    python = shutil.which('python')
    same = python is not None and os.path.abspath(python) == sys.executable
    return f'{"python" if same else sys.executable} -m pip {arguments}'


def import_error(module: str) -> str:
    """Imports a module and says what went wrong.

    Args:
        module (str): Name of the module.

    Returns:
        str: Empty if the import worked, else type and first line of the error.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            importlib.import_module(module)
    except Exception as error:  # a broken installation raises anything
        line = (str(error).strip().splitlines() or [''])[0]
        return f'{type(error).__name__}: {line}'
    return ''


def check(requirement: Requirement, probe: bool = True) -> Row:
    """Looks at one dependency.

    Args:
        requirement (Requirement): What is needed.
        probe (bool): Whether to import the module too. Defaults to True.

    Returns:
        Row: What was found.
    """
    r = requirement
    found = installed_versions(r.dists)
    name = next(iter(found), r.name)
    version = found.get(name, '-')
    row = Row(name, version, r.allowed, r.tested, 'ok')
    again = pip(f'install --force-reinstall --no-deps {r.install}')
    if len(found) > 1:
        names = ' '.join(found)
        return row._replace(
            installed=', '.join(found.values()),
            status='wrong',
            problem=f'{" and ".join(found)} install the same files and break '
            'each other',
            fix=f'{pip(f"uninstall -y {names}")} && '
            f'{pip(f"install {r.install}")}',
        )
    if not found and find_spec(r.module) is None:
        return row._replace(
            status='missing',
            problem=f'{name} is not installed',
            fix=pip(f'install {r.install}'),
        )
    if found and version == '?':
        return row._replace(
            status='wrong', problem=f'metadata of {name} is damaged', fix=again
        )
    if found and not in_range(version, r.allowed):
        fix = pip(f'install {r.install}')
        if r.name != name:
            fix = f'{pip(f"uninstall -y {name}")} && {fix}'
        return row._replace(
            status='wrong',
            problem=f'{name} {version} is not in the range {r.allowed}',
            fix=fix,
        )
    error = import_error(r.module) if probe else ''
    if error:
        return row._replace(
            status='wrong',
            problem=f'{name} cannot be imported: {error}',
            fix=mend_import(error, again),
        )
    return row if found else row._replace(installed='no metadata')


def mend_import(error: str, reinstall: str) -> str:
    """Command for an installed package that fails to import.

    Args:
        error (str): From :func:`import_error`.
        reinstall (str): What to say if the cause is not known.

    Returns:
        str: The command line.
    """
    missing = re.search(r"No module named '([\w]+)", error)
    if re.search(r'lib(GL|gthread|glib)', error):
        # OpenCV on a machine without a screen.
        return (
            f'{pip("uninstall -y opencv-python")} && '
            f'{pip("install opencv-python-headless")}'
        )
    if 'torchvision::' in error:
        return pip('install --upgrade torch torchvision')
    if missing:
        names = {'cv2': 'opencv-python', 'PIL': 'pillow', 'yaml': 'pyyaml'}
        module = missing.group(1)
        return pip(f'install {names.get(module, module)}')
    return reinstall


def check_python() -> Row:
    """Looks at the interpreter.

    Returns:
        Row: What was found.
    """
    version = platform.python_version()
    row = Row('python', version, PYTHON_ALLOWED, PYTHON_TESTED, 'ok')
    if in_range(version, PYTHON_ALLOWED):
        return row
    return row._replace(
        status='wrong',
        problem=f'Python {version} is not in the range {PYTHON_ALLOWED}',
        fix='python3.11 -m venv .venv && . .venv/bin/activate',
    )


def check_numpy(probe: bool = True) -> Row:
    """Looks at numpy, and whether torch was built for it.

    Args:
        probe (bool): Whether to import it too. Defaults to True.

    Returns:
        Row: What was found.
    """
    row = check(NUMPY, probe)
    torch = installed_versions(('torch',)).get('torch', '')
    if row.status != 'ok' or not re.match(r'2\.[0-2]\.', torch):
        return row
    if in_range(row.installed, '<2'):
        return row
    return row._replace(
        status='wrong',
        problem=f'torch {torch} was built for numpy 1: tensors of arrays fail '
        "with 'Numpy is not available'",
        fix=pip('install "numpy<2"'),
    )


def check_setuptools() -> Row:
    """Looks for ``pkg_resources``, which mmengine's own lookups import.

    Returns:
        Row: Never fatal: pauc_mm replaces those lookups for itself.
    """
    row = check(SETUPTOOLS, probe=False)
    if row.status == 'ok':
        return row
    return row._replace(
        status='note',
        problem='no pkg_resources: the own tools of mmpretrain and mmdet '
        'cannot resolve `_base_ = "package::config"` (pauc_mm can)',
        fix=pip(f'install {SETUPTOOLS.install}'),
    )


def has_compiled_ops() -> bool:
    """Whether the installed mmcv has ``mmcv._ext``; imports nothing.

    Returns:
        bool: True if the extension module lies in the package.
    """
    spec = find_spec('mmcv')
    if spec is None or spec.origin is None:
        return False
    folder = Path(spec.origin).parent
    return any(folder.glob('_ext*.so')) or any(folder.glob('_ext*.pyd'))


def mmcv_flavour() -> str:
    """Which mmcv is installed.

    Returns:
        str: A phrase for the report.
    """
    found = installed_versions(('mmcv', 'mmcv-lite', 'mmcv-full'))
    if len(found) > 1:
        return f'broken: {" and ".join(found)} at once'
    if has_compiled_ops():
        return 'with compiled ops'
    if find_spec('mmcv') is None:
        return 'not installed'
    return (
        'without compiled ops (enough for pretraining, and for Faster and '
        'Mask R-CNN through torchvision; to build them: '
        f'{build_mmcv()})'
    )


def build_mmcv() -> str:
    """Command that builds mmcv with its ops for the installed torch.

    Returns:
        str: The command line. From torch 2.14 on, C++20 is needed where mmcv's
        setup.py asks for C++17.
    """
    tools = pip('install "setuptools<81" wheel ninja')
    torch = installed_versions(('torch',)).get('torch', '0')
    if not in_range(torch, '>=2.14'):
        build = pip('install --no-build-isolation "mmcv>=2.0.1,<2.2"')
        return f'{tools} && {build}'
    source = 'mmcv-2.1.0'
    return ' && '.join(
        [
            tools,
            pip(
                'download --no-deps --no-build-isolation --no-binary :all: '
                'mmcv==2.1.0'
            ),
            f'tar xzf {source}.tar.gz',
            f"sed -i 's/c++17/c++20/g' {source}/setup.py",
            pip(f'install --no-build-isolation ./{source}'),
        ]
    )


def check_detection(probe: bool = True) -> Row:
    """Looks at what fine-tuning detectors needs: mmdet and mmcv's ops.

    Args:
        probe (bool): Whether to import mmdet too. Defaults to True.

    Returns:
        Row: Never fatal.
    """
    row = check(MMDET, probe=False)
    if row.status != 'ok':
        return row._replace(
            status='note', problem=f'{row.problem} (only for detection)'
        )
    row = row._replace(status='note')
    found = installed_versions(('mmcv-lite', 'mmcv'))
    version = next(iter(found.values()), '2.1')
    if not in_range(version, '>=2.0.0,<2.2'):
        return row._replace(
            problem=f'mmdet refuses mmcv {version}: it wants >=2.0.0,<2.2',
            fix=build_mmcv(),
        )
    # What makes mmdet work on an mmcv without compiled ops, then mmdet.
    error = import_error('pauc_mm.detection') if probe else ''
    if error:
        return row._replace(
            problem=f'mmdet is not usable: {error}',
            fix=pip(f'install --force-reinstall {MMDET.install}'),
        )
    return row._replace(status='ok')


def collect(probe: bool = True) -> list[Row]:
    """Looks at everything.

    Args:
        probe (bool): Whether to import the packages too. Defaults to True.

    Returns:
        list[Row]: The table.
    """
    rows = [check_python()]
    rows += [
        check_numpy(probe)
        if requirement is NUMPY
        else check(requirement, probe)
        for requirement in RUNTIME
    ]
    rows += [check_setuptools(), check_detection(probe)]
    return rows


def torch_devices() -> str:
    """Devices that torch can use.

    Returns:
        str: A phrase for the report.
    """
    if import_error('torch'):
        return 'unknown: torch cannot be imported'
    import torch

    if torch.cuda.is_available():
        names = [
            torch.cuda.get_device_name(i)
            for i in range(torch.cuda.device_count())
        ]
        return f'{len(names)} CUDA: {", ".join(names)}'
    threads = f'CPU with {torch.get_num_threads()} threads'
    mps = getattr(torch.backends, 'mps', None)
    if mps is not None and mps.is_available():
        return f'Apple GPU (mps), {threads}'
    built = torch.version.cuda
    why = f'; torch has CUDA {built} but finds no usable GPU' if built else ''
    return f'{threads}{why}'


def faiss_devices() -> tuple[str, str | None]:
    """Devices that faiss can use.

    Returns:
        tuple[str, str or None]: A phrase for the report, and the command that
        changes to faiss on the GPU where torch sees one and faiss does not.
    """
    if import_error('faiss'):
        return 'unknown: faiss cannot be imported', None
    import faiss

    threads = f'CPU with {faiss.omp_get_max_threads()} threads'
    gpus = faiss.get_num_gpus() if hasattr(faiss, 'get_num_gpus') else 0
    if gpus:
        return f'{gpus} GPU, {threads}', None
    torch = sys.modules.get('torch')
    if torch is None or not torch.cuda.is_available():
        return threads, None
    names = ' '.join(installed_versions(FAISS_DISTS)) or 'faiss-cpu'
    return threads, (
        f'{pip(f"uninstall -y {names}")} && '
        + pip('install "faiss-gpu>=1.11"')
    )


def report(rows: list[Row]) -> str:
    """The table and, for each problem, the command that mends it.

    Args:
        rows (list[Row]): From :func:`collect`.

    Returns:
        str: Text of several lines.
    """
    head = Row('package', 'installed', 'allowed', 'tested', 'status')
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(5)]
    lines = [
        f'pauc_mm {__version__}, {platform.system()} {platform.machine()}, '
        f'{sys.executable}',
        '',
    ]
    for row in [head, *rows]:
        cells = (cell.ljust(width) for cell, width in zip(row, widths))
        lines.append('  '.join(cells).rstrip())
    faiss_phrase, faiss_fix = faiss_devices()
    omp = os.environ.get('OMP_NUM_THREADS', 'not set')
    lines += [
        '',
        f'torch:            {torch_devices()}',
        f'faiss:            {faiss_phrase}',
        f'OMP_NUM_THREADS:  {omp}',
        f'mmcv:             {mmcv_flavour()}',
    ]
    if faiss_fix:
        rows = [
            *rows,
            Row(
                'faiss',
                '',
                '',
                '',
                'note',
                'there is a GPU, but k-means will run on the CPU',
                faiss_fix,
            ),
        ]
    for title, fatal in (('Wrong', True), ('Notes', False)):
        part = [r for r in rows if r.problem and r.fatal is fatal]
        if part:
            lines += ['', f'{title}:']
        for row in part:
            lines += [f'- {row.problem}', f'    {row.fix}']
    lines += ['', 'Not ready.' if any(r.fatal for r in rows) else 'Ready.']
    return '\n'.join(lines)


def main(argv: list[str] | None = None) -> int:
    """Prints the report.

    Args:
        argv (list[str] or None): Arguments. Defaults to the command line.

    Returns:
        int: 1 if anything that pretraining needs is wrong, else 0.
    """
    parser = argparse.ArgumentParser(
        prog='python -m pauc_mm.check_env',
        description='Says what is installed, what is wrong and which command '
        'mends it. Exits with 1 if pretraining cannot work.',
    )
    parser.parse_args(argv)
    rows = collect()
    print(report(rows))
    return int(any(row.fatal for row in rows))


if __name__ == '__main__':
    sys.exit(main())
