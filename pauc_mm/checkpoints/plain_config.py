# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Configs that come inside a checkpoint, read without running them.

mmengine stores a config as Python text, and its registries also build from
any dotted name (``type='subprocess.Popen'``), so that both reading and
building one would run what its author wrote.
"""

from __future__ import annotations

import ast
import functools
import inspect
from typing import Any

from mmengine.registry import Registry

_NETWORKS = (
    'mmpretrain.models.backbones.',
    'mmpretrain.models.necks.',
    'mmpretrain.models.selfsup.',
    'mmpretrain.models.utils.',
    'mmcv.',
    'mmengine.model.',
    'mmengine.utils.dl_utils.parrots_wrapper.',  # SyncBN
    'torch.nn.',
    'pauc_mm.models.',
)
_DATA = (
    'mmpretrain.datasets.',
    'mmcv.transforms.',
    'mmengine.dataset.',
    'torchvision.transforms.',
    'pauc_mm.datasets.',
)
# Of these packages nothing else. The classes of others are registered only if
# the user's own program has imported them.
_PACKAGES = ('mm', 'torch', 'pauc_mm', 'transformers', 'timm')
# These load files, or code, that their arguments name.
_LOADERS = ('TIMMBackbone', 'CLIPGenerator', 'torchvision/Lambda')
_LOADER_MODULES = ('mmpretrain.models.utils.huggingface',)


def parse_plain_config(text: str) -> dict:
    """Read the text of a config that consists of literals.

    Args:
        text (str): What ``mmengine.Config.pretty_text`` gives: assignments
            of literals, lists, tuples, dicts and ``dict(...)`` calls.

    Returns:
        dict: Name to value.

    Raises:
        ValueError: If there is anything else; the line is named.
    """
    try:
        body = ast.parse(text).body
        config = {}
        for statement in body:
            if (
                not isinstance(statement, ast.Assign)
                or len(statement.targets) != 1
                or not isinstance(statement.targets[0], ast.Name)
            ):
                raise _not_plain(statement)
            config[statement.targets[0].id] = _literal(statement.value)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f'it is no Python text: {error}') from error
    return config


def _literal(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and isinstance(
        node.value, (str, int, float, bool, type(None))
    ):
        return node.value
    if isinstance(node, ast.Name) and node.id in ('inf', 'nan'):
        return float(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _literal(node.operand)
        if isinstance(value, (int, float)):
            return -value
    if isinstance(node, (ast.List, ast.Tuple)):
        values = [_literal(item) for item in node.elts]
        return values if isinstance(node, ast.List) else tuple(values)
    if isinstance(node, ast.Dict) and None not in node.keys:
        keys = [_literal(key) for key in node.keys]
        if all(isinstance(k, (str, int, float, bool)) for k in keys):
            return dict(zip(keys, map(_literal, node.values)))
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == 'dict'
        and len(node.args) <= 1
        and all(isinstance(arg, ast.Dict) for arg in node.args)
        and all(keyword.arg for keyword in node.keywords)
    ):
        result = _literal(node.args[0]) if node.args else {}
        for keyword in node.keywords:
            result[keyword.arg] = _literal(keyword.value)
        return result
    raise _not_plain(node)


def _not_plain(node: ast.AST) -> ValueError:
    source = ast.unparse(node)
    source = source if len(source) <= 60 else source[:60] + '...'
    return ValueError(
        f'line {node.lineno} is not a plain value but code: {source}'
    )


def restrict_types(cfg: Any, *registries: Registry) -> Any:
    """Copy a config so that it can only build what OpenMMLab registered.

    Args:
        cfg: The config of a backbone, neck, transform or data set, plain.
        *registries (Registry): Where its parts will be built: of the MODELS,
            DATASETS and TRANSFORMS of mmpretrain.

    Returns:
        The config with plain registered names for types, without
        ``init_cfg`` and ``_scope_``.

    Raises:
        ValueError: If a type is not registered, is no network, transform or
            data set, or loads what its arguments name.
    """
    for registry in registries:
        registry.import_from_location()
    return _restrict(cfg, registries)


def _restrict(value: Any, registries: tuple[Registry, ...]) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_restrict(item, registries) for item in value)
    if not isinstance(value, dict):
        return value
    result = {
        key: _restrict(item, registries)
        for key, item in value.items()
        if key not in ('init_cfg', '_scope_')
    }
    if 'type' in result:
        result['type'] = _registered(result['type'], registries)
    return result


def _registered(kind: Any, registries: tuple[Registry, ...]) -> str:
    # In a dotted name the packages are dropped: what counts is the registry.
    name = kind.rpartition('.')[2] if isinstance(kind, str) else None
    found = None
    for registry in registries:
        while registry is not None and found is None:
            found = registry.module_dict.get(name)
            registry = registry.parent
    if isinstance(found, functools.partial):
        found = found.func
    module = getattr(found, '__module__', '') + '.'
    if (
        not inspect.isclass(found)
        or name in _LOADERS
        or module.startswith(_LOADER_MODULES)
        or (
            module.startswith(_PACKAGES)
            and not module.startswith(_NETWORKS + _DATA)
        )
    ):
        raise ValueError(
            f"type='{kind}' is not one of the registered classes that an "
            'untrusted config may build'
        )
    return name


def loads_foreign_files(cfg: Any) -> bool:
    """Whether a config names URLs or pickles, whose loading runs code."""
    if isinstance(cfg, dict):
        return any(loads_foreign_files(item) for item in cfg.values())
    if isinstance(cfg, (list, tuple)):
        return any(loads_foreign_files(item) for item in cfg)
    return isinstance(cfg, str) and (
        '://' in cfg or cfg.lower().endswith(('.pkl', '.pickle'))
    )
