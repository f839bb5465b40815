# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Builds pauc_mm; wheels and editable installs carry configs and tools.

OpenMMLab finds the configs of a package in its folder ``.mim``. A wheel gets
copies there; an editable install gets links in the source tree, so that an
edited config counts at once.
"""

import os
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
MIM = ('configs', 'tools', 'model-index.yml')
SUFFIXES = {'.py', '.yml', '.sh', '.md'}


def read_version():
    """Version from pauc_mm/version.py, without importing the package."""
    scope = {}
    exec((ROOT / 'pauc_mm' / 'version.py').read_text(encoding='utf-8'), scope)
    return scope['__version__']


def read_requirements(name):
    """Requirements in requirements/NAME.txt, without the comments."""
    text = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8')
    lines = (line.partition('#')[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


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
    readme = ROOT / 'README.md'
    setup(
        name='pauc_mm',
        version=read_version(),
        description='Prototypical self-supervised learning for OpenMMLab',
        long_description=readme.read_text(encoding='utf-8')
        if readme.is_file()
        else '',
        long_description_content_type='text/markdown',
        author='pauc_mm contributors',
        license='Apache-2.0',
        keywords=[
            'self-supervised learning',
            'contrastive learning',
            'clustering',
            'computer vision',
        ],
        classifiers=[
            'Development Status :: 4 - Beta',
            'Operating System :: OS Independent',
            'Programming Language :: Python :: 3',
            'Programming Language :: Python :: 3.10',
            'Programming Language :: Python :: 3.11',
            'Programming Language :: Python :: 3.12',
            'Programming Language :: Python :: 3.13',
            'Topic :: Scientific/Engineering :: Artificial Intelligence',
        ],
        python_requires='>=3.10,<3.14',
        packages=find_packages(include=['pauc_mm', 'pauc_mm.*']),
        package_data={'pauc_mm': ['**/*.html', '**/*.css', '**/*.json']},
        include_package_data=False,
        install_requires=read_requirements('runtime'),
        extras_require={
            'detection': read_requirements('detection'),
            'dev': read_requirements('dev'),
            'tests': read_requirements('dev'),
            'export': read_requirements('export'),
        },
        cmdclass={'build_py': BuildPy},
        zip_safe=False,
    )
