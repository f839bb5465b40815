# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Read and restrict configs that come inside a checkpoint.

mmengine stores a config as Python text, and its registries build from any
dotted name (``type='subprocess.Popen'``). Both reading and building one would
run what its author wrote.
"""

import ast
import functools
import inspect
from collections.abc import Iterator
from typing import Any

from mmengine.registry import Registry
from mmpretrain.registry import DATASETS, TRANSFORMS

_ALLOWED = (
    'mmpretrain.models.backbones.',
    'mmpretrain.models.necks.',
    'mmpretrain.models.selfsup.',
    'mmpretrain.models.utils.',
    'mmcv.',
    'mmengine.model.',
    'mmengine.utils.dl_utils.parrots_wrapper.',  # SyncBN
    'torch.nn.',
    'pauc_mm.models.',
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

    Assignments of literals, lists, tuples, dicts and ``dict(...)`` calls, as
    ``mmengine.Config.pretty_text`` gives.

    Raises:
        ValueError: If there is anything else; the line is named.
    """
    config = {}
    try:
        for statement in ast.parse(text).body:
            match statement:
                case ast.Assign(targets=[ast.Name(name)], value=value):
                    config[name] = _literal(value)
                case _:
                    raise _not_plain(statement)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f'it is no Python text: {error}') from error
    return config


def _literal(node: Any) -> Any:
    """Evaluate a literal, in which ``dict(...)`` stands for a display."""
    match node:
        case ast.Constant(str() | int() | float() | None):
            return node.value
        case ast.Name('inf' | 'nan'):
            return float(node.id)
        case ast.UnaryOp(
            ast.USub(), ast.Constant(int() | float()) | ast.Name()
        ):
            return -_literal(node.operand)
        case ast.List(items):
            return [_literal(item) for item in items]
        case ast.Tuple(items):
            return tuple(_literal(item) for item in items)
        case ast.Dict(keys, values) if all(
            isinstance(key, ast.Constant) for key in keys
        ):
            return dict(zip(map(_literal, keys), map(_literal, values)))
        case ast.Call(ast.Name('dict'), [] | [ast.Dict()], keywords) if all(
            keyword.arg for keyword in keywords
        ):
            result = _literal(node.args[0]) if node.args else {}
            result.update((k.arg, _literal(k.value)) for k in keywords)
            return result
    raise _not_plain(node)


def _not_plain(node: ast.expr | ast.stmt) -> ValueError:
    source = ast.unparse(node)
    source = source if len(source) <= 60 else source[:60] + '...'
    return ValueError(
        f'line {node.lineno} is not a plain value but code: {source}'
    )


def restrict_types(cfg: Any, *registries: Registry) -> Any:
    """Copy a config so that it can only build what OpenMMLab registered.

    Types become plain registered names; ``init_cfg`` and ``_scope_`` go. The
    registries are those of MODELS, DATASETS and TRANSFORMS of mmpretrain in
    which its parts will be built.

    Raises:
        ValueError: If a type is not registered, is no network, transform or
            data set, or loads what its arguments name.
    """
    if isinstance(cfg, (list, tuple)):
        return type(cfg)(restrict_types(item, *registries) for item in cfg)
    if not isinstance(cfg, dict):
        return cfg
    result = {
        key: restrict_types(item, *registries)
        for key, item in cfg.items()
        if key not in ('init_cfg', '_scope_')
    }
    if 'type' in result:
        result['type'] = _registered(result['type'], registries)
    return result


def restrict_data(cfg: Any) -> Any:
    """Restrict a pipeline or data set, which must name no URL or pickle."""
    if loads_foreign_files(cfg):
        raise ValueError('it names a URL or a pickle')
    return restrict_types(cfg, TRANSFORMS, DATASETS)


def _registered(kind: Any, registries: tuple[Registry, ...]) -> str:
    # In a dotted name the packages are dropped: what counts is the registry.
    name = kind.rpartition('.')[2] if isinstance(kind, str) else ''
    found = None
    for registry in registries:
        registry.import_from_location()
        while registry is not None and found is None:
            found = registry.module_dict.get(name)
            registry = registry.parent
    if isinstance(found, functools.partial):
        found = found.func
    module = getattr(found, '__module__', '') + '.'
    loads = name in _LOADERS or module.startswith(_LOADER_MODULES)
    other = module.startswith(_PACKAGES) and not module.startswith(_ALLOWED)
    if not inspect.isclass(found) or loads or other:
        raise ValueError(
            f"type='{kind}' is not one of the registered classes that an "
            'untrusted config may build'
        )
    return name


def loads_foreign_files(cfg: Any) -> bool:
    """Tell whether a config names URLs or pickles: loading runs code."""
    return any(
        '://' in text or text.lower().endswith(('.pkl', '.pickle'))
        for text in strings(cfg)
    )


def strings(value: Any) -> Iterator[str]:
    """Iterate over the texts in nested dicts, lists and tuples."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value


def plain(value: Any) -> Any:
    """Copy ConfigDicts into dicts."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(item) for item in value)
    return value
