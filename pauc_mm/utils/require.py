# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import functools
import importlib
from importlib.util import find_spec
from types import ModuleType

from pauc_mm._requirements import FAISS, installed_versions


def require(module: str, package: str, needed_by: str) -> ModuleType:
    """Import a module such as ``'ot'``, or name the package to install.

    Raises:
        ImportError: If it cannot be imported, or is faiss from several
            packages, with the command that mends it.
    """
    if module == 'faiss':
        _check_one_faiss()
    try:
        return importlib.import_module(module)
    except Exception as error:  # a broken installation raises anything
        again = '--force-reinstall ' if find_spec(module.split('.')[0]) else ''
        raise ImportError(
            f'{needed_by} needs the module `{module}`, which cannot be '
            f'imported ({error}). Install it with: pip install '
            f'{again}{package}'
        ) from error


@functools.cache
def _check_one_faiss() -> None:
    found = ' '.join(installed_versions(FAISS))
    if ' ' in found:
        raise ImportError(
            f'Only one of {found} can be installed, for they have the same '
            f'files. Run: pip uninstall -y {found} && pip install faiss-cpu'
        )
