# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Find the configs and programs that are shipped with the package."""

from difflib import get_close_matches
from pathlib import Path

PREFIX = 'pauc_mm::'
"""Prefix of the names of shipped configs."""


def config_root() -> Path:
    """Return the folder of the shipped configs.

    It is ``pauc_mm/.mim/configs`` of the installed package, or ``configs``
    beside the package in a checkout that is only on ``PYTHONPATH``.
    """
    return _shipped('configs', 'pauc/metafile.yml')


def tool_path(name: str) -> Path:
    """Return the path of a shipped program, such as ``'dist_train.sh'``."""
    return _shipped('tools', name) / name


def _shipped(folder: str, file: str) -> Path:
    """Return the folder of ``.mim`` or of the checkout that has a file."""
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
    """List the shipped recipes: sorted paths below :func:`config_root`."""
    root = config_root()
    names = (p.relative_to(root) for p in root.rglob('*.py'))
    return sorted(n.as_posix() for n in names if '_base_' not in n.parts)


def near_configs(name: str, cutoff: float = 0.6) -> list[str]:
    """Return up to three shipped recipes of like names, in any folder."""
    by_stem = {Path(config).stem: config for config in list_configs()}
    near = get_close_matches(Path(name).stem, by_stem, cutoff=cutoff)
    return [by_stem[stem] for stem in near]


def resolve_config(name: str) -> str:
    """Return the absolute path of a shipped config.

    It is named by its path below the config folder, with or without ``.py``
    and the prefix ``pauc_mm::``.

    Raises:
        FileNotFoundError: If there is no such config; the message names the
            nearest ones.
    """
    name = name.removeprefix(PREFIX)
    path = config_root() / name.lstrip('/')
    if not path.suffix:
        path = path.with_suffix('.py')
    if path.is_file():
        return str(path)
    near = near_configs(name, 0.4) or list_configs()
    raise FileNotFoundError(
        f"pauc_mm has no config '{name}'. Did you mean: {', '.join(near)}?"
    )
