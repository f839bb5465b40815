# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Builds pauc_mm; wheels and editable installs carry configs and tools.

OpenMMLab finds the configs of a package in its folder ``.mim``. A wheel gets
copies there; an editable install gets links in the source tree, so that an
edited config counts at once.
"""

import os
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MIM = ('configs', 'tools', 'model-index.yml')
SUFFIXES = {'.py', '.yml', '.sh', '.md'}


def mim_files():
    """Files that belong into ``.mim``, relative to the repository root."""
    for name in MIM:
        path = ROOT / name
        files = sorted(path.rglob('*')) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and file.suffix in SUFFIXES:
                yield file.relative_to(ROOT)


def remove(path):
    """Removes a file, a link, or a folder, whichever it is."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        shutil.rmtree(path)


class BuildPy(build_py):
    """Adds ``pauc_mm/.mim`` to what is built or, when editable, linked."""

    def run(self):
        """Builds the modules, then ``.mim``."""
        super().run()
        if getattr(self, 'editable_mode', False):
            self.link_mim()
        else:
            target = Path(self.build_lib) / 'pauc_mm' / '.mim'
            remove(target)
            self.copy_mim(target)

    def copy_mim(self, target):
        """Copies the files to the folder ``target``."""
        for file in mim_files():
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, target / file)

    def link_mim(self):
        """Links them in the source tree; copies where links are refused."""
        target = ROOT / 'pauc_mm' / '.mim'
        remove(target)
        target.mkdir()
        try:
            for name in MIM:
                (target / name).symlink_to(
                    Path(os.pardir, os.pardir, name),
                    target_is_directory=(ROOT / name).is_dir(),
                )
        except OSError:
            remove(target)
            self.copy_mim(target)

    def get_outputs(self, include_bytecode=1):
        """Files of the build, ``.mim`` included."""
        outputs = super().get_outputs(include_bytecode)
        if getattr(self, 'editable_mode', False):
            return outputs
        target = Path(self.build_lib) / 'pauc_mm' / '.mim'
        return outputs + [str(target / file) for file in mim_files()]


if __name__ == '__main__':
    setup(cmdclass={'build_py': BuildPy})
