# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Make ``_base_ = 'pauc_mm::METHOD/NAME.py'`` resolve.

mmengine 0.10 reads ``package::path`` for a closed list of packages, insists on
a slash in the path, and finds packages through ``pkg_resources``, which
setuptools 82 removed and which does not see PEP 660 editable installs. Here
the lookups are replaced where mmengine uses them: ``pauc_mm::`` paths by our
own, packages by :func:`importlib.util.find_spec`.
"""

from __future__ import annotations

import importlib.util
import os.path as osp
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path

import mmengine.config.config as config_module
import mmengine.hub.hub as hub_module
import mmengine.utils as mmengine_utils
import mmengine.utils.package_utils as package_utils
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE

PACKAGE = 'pauc_mm'
PREFIX = f'{PACKAGE}::'
# Our classes live in mmpretrain's registries, so variables that a config takes
# from `_base_` must be built in that scope.
SCOPE = 'mmpretrain'
DETECTION = 'benchmarks/detection/'  # these inherit from mmdet's


def config_root() -> Path:
    """Return the folder of the shipped configs.

    Returns:
        Path: ``pauc_mm/.mim/configs`` of the installed package, or
        ``configs`` beside the package in a checkout that is only on
        ``PYTHONPATH``.

    Raises:
        FileNotFoundError: Neither exists.
    """
    return _shipped('configs', 'pauc/metafile.yml')


def tool_path(name: str) -> Path:
    """Return the path of a shipped program.

    Args:
        name (str): Path below ``tools``, such as ``'dist_train.sh'``.

    Raises:
        FileNotFoundError: The package was built without it.
    """
    return _shipped('tools', name) / name


def _shipped(folder: str, file: str) -> Path:
    """``folder`` of ``.mim`` or of the checkout, whichever has ``file``."""
    package_dir = Path(__file__).resolve().parents[1]
    roots = (package_dir / '.mim' / folder, package_dir.parent / folder)
    for root in roots:
        if (root / file).is_file():
            return root
    raise FileNotFoundError(
        f'pauc_mm has no {folder}/{file}: neither {roots[0]} nor {roots[1]} '
        'holds it. Reinstall the package: '
        '`pip install --force-reinstall --no-deps pauc_mm`, or '
        '`pip install -e .` in a checkout.'
    )


def list_configs() -> list[str]:
    """List the shipped recipes, relative to :func:`config_root`.

    Returns:
        list[str]: Sorted POSIX paths, without those below ``_base_``.
    """
    root = config_root()
    names = (p.relative_to(root) for p in root.rglob('*.py'))
    return sorted(n.as_posix() for n in names if '_base_' not in n.parts)


def near_configs(name: str) -> list[str]:
    """Return up to three shipped recipes named like a path that is wrong.

    Folders do not count, so that a recipe is found in the folder of its
    method.
    """
    by_stem = {Path(config).stem: config for config in list_configs()}
    return [by_stem[s] for s in get_close_matches(Path(name).stem, by_stem)]


def resolve_config(name: str) -> str:
    """Return the absolute path of a shipped config.

    Args:
        name (str): Path below the config folder, with or without ``.py``,
            with or without the prefix ``pauc_mm::``.

    Returns:
        str: Path of the file.

    Raises:
        FileNotFoundError: There is no such config; the message names the
            nearest ones.
    """
    name = name[len(PREFIX) :] if name.startswith(PREFIX) else name
    path = config_root() / name.lstrip('/')
    if not path.suffix:
        path = path.with_suffix('.py')
    if path.is_file():
        return str(path)
    near = near_configs(name) or list_configs()
    raise FileNotFoundError(
        f"pauc_mm has no config '{name}'. Did you mean: {', '.join(near)}?"
    )


def _module_dir(package: str) -> str | None:
    modules = {dist: module for module, dist in MODULE2PACKAGE.items()}
    try:
        spec = importlib.util.find_spec(modules.get(package, package))
    except (ImportError, ValueError):
        return None
    return osp.dirname(spec.origin) if spec and spec.origin else None


def is_installed(package: str) -> bool:
    """Tell whether a package can be imported or has distribution metadata.

    Args:
        package (str): Name of a distribution, as in ``MODULE2PACKAGE``.

    Returns:
        bool: True if it is there.
    """
    if _module_dir(package) is not None:
        return True
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def get_installed_path(package: str) -> str:
    """Return the folder of an installed package, editable or not.

    Args:
        package (str): Name of a distribution, as in ``MODULE2PACKAGE``.

    Returns:
        str: Folder that holds its ``__init__.py``.
    """
    path = _module_dir(package)
    if path is not None:
        return path
    return _original_get_installed_path(package)


def _get_cfg_path(cfg_path: str, filename: str) -> tuple[str, str | None]:
    if cfg_path.startswith(PREFIX):
        name = cfg_path[len(PREFIX) :].lstrip('/')
        detection = name.startswith(DETECTION)
        return resolve_config(cfg_path), 'mmdet' if detection else SCOPE
    return _original_get_cfg_path(cfg_path, filename)


def _get_package_and_cfg_path(cfg_path: str) -> tuple[str, str]:
    if cfg_path.startswith(PREFIX):
        return PACKAGE, cfg_path[len(PREFIX) :].lstrip('/')
    return _original_get_package_and_cfg_path(cfg_path)


def install_config_paths() -> None:
    """Replace mmengine's lookups where it uses them."""
    Config._get_cfg_path = staticmethod(_get_cfg_path)
    hub_module._get_package_and_cfg_path = _get_package_and_cfg_path
    for module in (mmengine_utils, package_utils, config_module, hub_module):
        for function in (is_installed, get_installed_path):
            if hasattr(module, function.__name__):
                setattr(module, function.__name__, function)


_original_get_cfg_path = Config._get_cfg_path
_original_get_package_and_cfg_path = hub_module._get_package_and_cfg_path
_original_get_installed_path = package_utils.get_installed_path
