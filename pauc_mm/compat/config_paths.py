# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Make ``_base_ = 'pauc_mm::METHOD/NAME.py'`` resolve.

mmengine 0.10 reads ``package::path`` for a closed list of packages, insists on
a slash in the path, and finds packages through ``pkg_resources``, which
setuptools 82 removed and which does not see PEP 660 editable installs. Here
the lookups are replaced where mmengine uses them: ``pauc_mm::`` paths by our
own, packages by :func:`importlib.util.find_spec`.
"""

import importlib.util
import os.path as osp
from importlib import metadata

import mmengine.config.config as config_module
import mmengine.hub.hub as hub_module
import mmengine.utils as mmengine_utils
import mmengine.utils.package_utils as package_utils
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE

from pauc_mm.utils.shipped_files import PREFIX, resolve_config

# Our classes live in mmpretrain's registries, so variables that a config takes
# from `_base_` must be built in that scope.
SCOPE = 'mmpretrain'
DETECTION = 'benchmarks/detection/'  # these inherit from mmdet's


def _module_dir(package: str) -> str | None:
    modules = {dist: module for module, dist in MODULE2PACKAGE.items()}
    try:
        spec = importlib.util.find_spec(modules.get(package, package))
    except (ImportError, ValueError):
        return None
    return osp.dirname(spec.origin) if spec and spec.origin else None


def is_installed(package: str) -> bool:
    """Tell whether a distribution can be imported or has metadata."""
    if _module_dir(package) is not None:
        return True
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def get_installed_path(package: str) -> str:
    """Return the folder of a distribution's package, editable or not."""
    return _module_dir(package) or _original_get_installed_path(package)


def _get_cfg_path(cfg_path: str, filename: str) -> tuple[str, str | None]:
    if cfg_path.startswith(PREFIX):
        name = cfg_path[len(PREFIX) :].lstrip('/')
        detection = name.startswith(DETECTION)
        return resolve_config(cfg_path), 'mmdet' if detection else SCOPE
    return _original_get_cfg_path(cfg_path, filename)


def _get_package_and_cfg_path(cfg_path: str) -> tuple[str, str]:
    if cfg_path.startswith(PREFIX):
        return 'pauc_mm', cfg_path[len(PREFIX) :].lstrip('/')
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
