# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Report what is installed, what is wrong and the command that fixes it.

Run ``python -m pauc_mm.check_env``. It works where dependencies are missing or
broken, and exits with 1 if anything that pretraining needs is wrong.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import re
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from ._requirements import (
    FAISS,
    STACKS,
    declared_ranges,
    install_argument,
    installed_stack,
    installed_versions,
    stack_mixture,
)
from .version import __version__

PYTHON = '>=3.10,<3.14'  # 3.14 removed pkgutil.find_loader of mmengine 0.10
MMCV = '>=2.0.1,<2.4'
MMCV_OF_MMDET = '>=2.0.1,<2.2'
MODULES = {'faiss-cpu': 'faiss', 'POT': 'ot'}
MODULES |= {'scikit-learn': 'sklearn', 'pillow': 'PIL'}
# Distributions that install the same files and so exclude each other.
ALTERNATIVES = {
    'mmengine': ('mmengine', 'mmengine-lite', 'onedl-mmengine'),
    'mmcv': ('mmcv-lite', 'mmcv', 'mmcv-full', 'onedl-mmcv'),
    'mmpretrain': ('mmpretrain', 'onedl-mmpretrain'),
    'mmdet': ('mmdet', 'onedl-mmdetection'),
    'faiss-cpu': FAISS,
}


class Row(NamedTuple):
    """Line of the table."""

    name: str  # distribution, or python
    installed: str  # version, or -
    allowed: str  # range of versions
    # ok, wrong, missing, or note: imperfect, but pretraining works
    status: str = 'ok'
    problem: str = ''
    fix: str = ''  # command

    @property
    def fatal(self) -> bool:
        """Whether pretraining cannot work."""
        return self.status in ('wrong', 'missing')

    def wrong(self, problem: str, fix: str, status: str = 'wrong') -> Row:
        """Return the row with a problem."""
        return self._replace(status=status, problem=problem, fix=fix)


def in_range(version: str, allowed: str) -> bool:
    """Return whether a version is in a range, True if nothing can compare."""
    try:
        from packaging.specifiers import SpecifierSet
    except ImportError:  # reported as missing
        return True
    return SpecifierSet(allowed).contains(version, prereleases=True)


def pip(arguments: str) -> str:
    """Return a pip command for the interpreter that runs this."""
    return f'{sys.executable} -m pip {arguments}'


def import_error(module: str) -> str:
    """Import a module and return the error, empty if there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            importlib.import_module(module)
    except Exception as error:  # a broken installation raises anything
        line = (str(error).strip().splitlines() or [''])[0]
        return f'{type(error).__name__}: {line}'
    return ''


def check(name: str, allowed: str, probe: bool = True) -> Row:
    """Check the recommended distribution, by its import too if ``probe``."""
    versions = installed_versions(ALTERNATIVES.get(name, (name,)))
    actual = next(iter(versions), name)
    version = versions.get(actual, '-')
    module = MODULES.get(name, name)
    install = pip(f'install {install_argument(name)}')
    row = Row(actual, version, allowed)
    if versions and name in STACKS['onedl']:
        problem, arguments = stack_mixture()
        if problem:
            fix = ' && '.join(pip(x) for x in arguments.split('&&'))
            return row.wrong(problem, fix)
    if len(versions) > 1:
        remove = pip(f'uninstall -y {" ".join(versions)}')
        row = row._replace(installed=', '.join(versions.values()))
        names = ' and '.join(versions)
        problem = f'{names} install the same files and break each other'
        return row.wrong(problem, f'{remove} && {install}')
    if not versions and find_spec(module) is None:
        return row.wrong(f'{name} is not installed', install, 'missing')
    again = install.replace(' install ', ' install --force-reinstall ')
    if version == '?':
        return row.wrong(f'metadata of {actual} is damaged', again)
    if versions and not in_range(version, allowed):
        if actual == 'mmcv-full':  # another distribution
            install = f'{pip("uninstall -y mmcv-full")} && {install}'
        problem = f'{actual} {version} is not in the range {allowed}'
        return row.wrong(problem, install)
    if error := import_error(module) if probe else '':
        problem = f'{actual} cannot be imported: {error}'
        return row.wrong(problem, fix_import(error, again))
    return row if versions else row._replace(installed='no metadata')


def fix_import(error: str, reinstall: str) -> str:
    """Return the command for an :func:`import_error`, or ``reinstall``."""
    if re.search(r'lib(GL|gthread|glib)', error):
        # OpenCV on a machine without a screen.
        remove = pip('uninstall -y opencv-python')
        return f'{remove} && {pip("install opencv-python-headless")}'
    if 'torchvision::' in error:
        return pip('install --upgrade torch torchvision')
    if missing := re.search(r"No module named '(\w+)", error):
        names = {'cv2': 'opencv-python', 'PIL': 'pillow', 'yaml': 'pyyaml'}
        return pip(f'install {names.get(missing[1], missing[1])}')
    return reinstall


def check_numpy(allowed: str, probe: bool = True) -> Row:
    """Check numpy, and whether torch was built for it."""
    row = check('numpy', allowed, probe)
    torch = installed_versions(('torch',)).get('torch', '')
    is_old = re.match(r'2\.[0-2]\.', torch)
    if row.status != 'ok' or not is_old or in_range(row.installed, '<2'):
        return row
    problem = f'torch {torch} was built for numpy 1 and cannot use numpy 2'
    return row.wrong(problem, pip('install "numpy<2"'))


def check_detection(allowed: str, probe: bool = True) -> Row:
    """Check mmdet and the mmcv that it accepts; never fatal."""
    row = check('mmdet', allowed, probe=False)
    if row.status != 'ok':
        problem = f'{row.problem} (only for detection)'
        return row.wrong(problem, row.fix, 'note')
    versions = installed_versions(('mmcv-lite', 'mmcv'))
    version = next(iter(versions.values()), '2.1')  # onedl's takes any mmcv
    if not in_range(version, MMCV_OF_MMDET):
        problem = f'mmdet refuses mmcv {version}: it needs {MMCV_OF_MMDET}'
        fix = pip(f'install {install_argument("mmcv")}')
        return row.wrong(problem, fix, 'note')
    # pauc_mm.detection makes mmdet work on an mmcv without compiled ops.
    error = import_error('pauc_mm.detection') if probe else ''
    if error:
        fix = pip(f'install --force-reinstall {install_argument("mmdet")}')
        return row.wrong(f'mmdet is not usable: {error}', fix, 'note')
    return row


def collect(probe: bool = True) -> list[Row]:
    """Check everything, by importing the packages too if ``probe``."""
    ranges = declared_ranges()
    detection = ranges.pop('mmdet', '')
    tools = ranges.pop('setuptools', '<82')
    python = Row('python', platform.python_version(), PYTHON)
    if not in_range(python.installed, PYTHON):
        python = python.wrong(
            f'Python {python.installed} is not in the range {PYTHON}',
            'python3.11 -m venv .venv && . .venv/bin/activate',
        )
    rows = [python, check_numpy(ranges.pop('numpy', ''), probe)]
    ranges['mmcv'] = ranges.get('mmcv', MMCV)
    for name, allowed in ranges.items():
        rows.append(check(name, allowed, probe))
    row = check('setuptools', tools, probe=False)
    if row.problem:
        problem = 'no pkg_resources: the tools of mmpretrain and mmdet cannot '
        problem += 'resolve `_base_ = "package::config"` (pauc_mm can)'
        row = row.wrong(problem, row.fix, 'note')
    return [*rows, row, check_detection(detection, probe)]


def describe_kmeans() -> str:
    """Say where k-means runs, and how long it takes for ImageNet."""
    for module in ('torch', 'faiss', 'pauc_mm'):
        if import_error(module):
            return f'unknown: {module} cannot be imported'
    import torch

    from pauc_mm.engine.plan.planning import readable
    from pauc_mm.engine.plan.speeds import kmeans_speed

    count, where, device = torch.cuda.device_count(), 'the CPU by faiss', 'cpu'
    if count:
        where, device = f'{count} GPU(s) by torch, sharded', 'cuda'
    # 5 runs of 20 iterations, and an assignment; K = 25, 50 and 100 thousand.
    flops = 2 * 128 * 175_000 * 1_281_167 * 101
    speed = kmeans_speed(4096, 128, torch.device(device)) * max(1, count)
    time = readable('_seconds', flops / speed)
    return (
        f"on {where}; an E-step of ImageNet-1k with the papers' settings "
        f'takes about {time} there (tools/analysis/plan.py for yours)'
    )


def describe_devices() -> str:
    """Describe the devices that torch can use."""
    if import_error('torch'):
        return 'unknown: torch cannot be imported'
    import torch

    if torch.cuda.is_available():
        count = range(torch.cuda.device_count())
        return ', '.join(torch.cuda.get_device_name(i) for i in count)
    built = torch.version.cuda
    why = f'; torch has CUDA {built} but finds no usable GPU' if built else ''
    return f'CPU with {torch.get_num_threads()} threads{why}'


def report(rows: list[Row]) -> str:
    """Return the table and, for each problem, the command that fixes it."""
    table = [Row('package', 'installed', 'allowed', 'status'), *rows]
    widths = [max(len(row[i]) for row in table) for i in range(4)]
    system = f'{platform.system()} {platform.machine()}'
    lines = [f'pauc_mm {__version__}, {system}, {sys.executable}', '']
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths))
        lines.append('  '.join(cells).rstrip())
    spec = find_spec('mmcv')
    folder = Path((spec and spec.origin) or '-').parent
    lines += [
        '',
        f'stack:            {installed_stack()}',
        f'torch:            {describe_devices()}',
        f'k-means:          {describe_kmeans()}',
        f'OMP_NUM_THREADS:  {os.environ.get("OMP_NUM_THREADS", "not set")}',
        'compiled mmcv:    '
        + ('yes' if any(folder.glob('_ext*')) else 'no')
        + ' (only for detectors other than Faster and Mask R-CNN, see '
        'docs/install.md)',
    ]
    for title, fatal in (('Wrong', True), ('Notes', False)):
        part = {
            row.problem: row.fix  # a mixture concerns several rows
            for row in rows
            if row.problem and row.fatal is fatal
        }
        lines += ['', f'{title}:'] if part else []
        for problem, fix in part.items():
            lines += [f'- {problem}', f'    {fix}']
    lines += ['', 'Not ready.' if any(r.fatal for r in rows) else 'Ready.']
    return '\n'.join(lines)


def main(argv: list[str] | None = None) -> int:
    """Print the report; return 1 if pretraining cannot work, else 0."""
    argparse.ArgumentParser(
        prog='python -m pauc_mm.check_env', description=__doc__
    ).parse_args(argv)
    rows = collect()
    print(report(rows))
    return int(any(row.fatal for row in rows))


if __name__ == '__main__':
    sys.exit(main())
