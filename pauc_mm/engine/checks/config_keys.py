# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Find the keys of a config that nothing reads.

A config is a dict of anything: mmengine passes over a key that it does not
know, and a class that takes ``**kwargs`` names a base class in its error.
"""

import inspect
import typing
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import cache
from types import UnionType
from typing import Any, NamedTuple

from mmengine import registry as registries
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import Registry
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

# Read by mmengine or by the tools, although no argument of the Runner.
_TOP = (
    'runner_type',
    'custom_imports',
    'find_unused_parameters',
    'annotation_check',
    'activation_checkpointing',
    'efficient_conv_bn_eval',
    'compile',
)
# Taken out of a config before the class is called, by the kind of the part.
_TAKEN = {
    'hooks': ('priority',),
    'param_scheduler': ('convert_to_iter_based',),
    'optim_wrapper': ('optimizer', 'paramwise_cfg', 'constructor'),
    'cfg': ('by_epoch',),
}
_OF_LOADERS = (
    'dataset',
    'batch_sampler',
    'num_batch_per_epoch',
)
# mmengine removes these, and only these, for None.
_REMOVABLE = (
    'runtime_info',
    'timer',
    'sampler_seed',
    'logger',
    'param_scheduler',
    'checkpoint',
)
_KNOWN = ('pauc_mm.', 'mm', 'torch.')
_NUMBERS = {'int', 'float', 'bool', 'None', 'NoneType', 'Tensor'}
# Layers and policies: their builders take keys of their own out.
_REWRITTEN = ('_cfg', 'dcn', 'policies')
_ALIKE = 0.85  # two letters swapped in train_cfg


class _Arguments(NamedTuple):
    """Names that a part takes, with their annotations.

    ``closed`` tells whether it takes no others.
    """

    names: dict[str, Any]
    closed: bool = True


def check_config_keys(cfg: dict) -> None:
    """Refuse keys of a run's config that nothing reads, wherever they stand.

    A part with ``type`` takes the arguments of its class. Variables of a
    config file's own pass, unless they look like a misspelt key of the Runner.

    Args:
        cfg (Config or dict): Of a Runner, merged, not yet built.

    Raises:
        ValueError: Naming each key with its path, and the nearest known one.
            Or if a list or a text stands where a number belongs.
    """
    known = _arguments(Runner).names
    wrong = [_unknown(k, '', near) for k in cfg if (near := _misspelt(k))]
    wrong += _without_type(cfg.get('default_hooks') or {})
    scope = cfg.get('default_scope') or 'mmengine'
    for key in [k for k in cfg if k in known]:
        wrong += _walk(cfg[key], key, scope)
    if wrong:
        raise ValueError(' '.join(dict.fromkeys(wrong)))


def check_option(cfg: Config, key: str) -> None:
    """Refuse a top-level key that ``--cfg-options`` would add for nobody.

    Raises:
        KeyError: Naming the key, and the keys that it may stand for.
    """
    name = key.split('.')[0]
    if name in cfg or name in _top():
        return
    places = list(_places(cfg.to_dict(), key))[:3]
    near = ' or '.join(places) or _nearest(name, [*_top(), *cfg])
    raise KeyError(_unknown(name, '', near))


def _without_type(hooks: dict) -> Iterator[str]:
    for name, hook in hooks.items():
        removed = hook is None and name in _REMOVABLE
        if removed or isinstance(hook, Hook) or 'type' in (hook or {}):
            continue
        others = sorted(set(hooks) - {name})
        near = _nearest(name, others)
        yield (
            f'default_hooks.{name} has no type: the config has no such hook. '
            + (
                f'Did you mean default_hooks.{near}?'
                if near
                else f'It has {", ".join(others)}.'
            )
        )


def _top() -> list[str]:
    return [*_arguments(Runner).names, *_TOP]


def _misspelt(key: str) -> str | None:
    top = _top()
    # A variable such as val_evaluator_small is no mistake.
    if key in top or any(f'_{name}_' in f'_{key}_' for name in top):
        return None
    return _nearest(key, top, _ALIKE)


def _nearest(
    key: str, names: Iterable[str], cutoff: float = 0.6
) -> str | None:
    return next(iter(get_close_matches(key, names, 1, cutoff)), None)


def _unknown(key: str, path: str, near: str | None) -> str:
    hint = f' Did you mean {path}{near}?' if near else ''
    return f'Nothing reads {path}{key}.{hint}'


def _places(value: Any, key: str, path: str = '') -> Iterator[str]:
    """Find the paths of a config that end in a key."""
    if isinstance(value, dict):
        for name, item in value.items():
            if f'.{path}{name}'.endswith(f'.{key}'):
                yield f'{path}{name}'
            yield from _places(item, key, f'{path}{name}.')


def _walk(value: Any, path: str, scope: str) -> Iterator[str]:
    """Describe the wrong keys of a part of a config and of its parts."""
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _walk(item, f'{path}.{index}', scope)
    if not isinstance(value, dict):
        return
    scope = value.get('_scope_', scope)
    arguments = _accepted(value, path, scope)
    if arguments is not None:
        yield from _wrong_entries(value, arguments, path)
    for key, item in value.items():
        if not str(key).endswith(_REWRITTEN):
            yield from _walk(item, f'{path}.{key}', scope)


def _wrong_entries(
    value: dict, arguments: _Arguments, path: str
) -> Iterator[str]:
    names, closed = arguments
    # Inside a model or data set, what builds a part may take keys out.
    direct = '.' not in path or path.count('.') == 1 and path[:6] != 'model.'
    for key, item in value.items():
        if key not in names:
            near = _nearest(key, names, 0.6 if closed and direct else _ALIKE)
            if near or (closed and direct):
                yield _unknown(key, f'{path}.', near)
        elif direct and _is_number(names[key]):
            if isinstance(item, (list, tuple, str)):
                yield f'{path}.{key} must be a number, got {item!r}.'


def _is_number(annotation: Any) -> bool:
    if isinstance(annotation, str):
        kinds = {*annotation.replace(' ', '').split('|')}
    else:
        union = typing.get_origin(annotation) in (typing.Union, UnionType)
        parts = typing.get_args(annotation) if union else [annotation]
        kinds = {getattr(part, '__name__', str(part)) for part in parts}
    return bool(kinds & {'int', 'float'}) and kinds <= _NUMBERS


def _accepted(value: dict, path: str, scope: str) -> _Arguments | None:
    """Return what a part takes; None if nothing tells."""
    last = path.rpartition('.')[2]
    fixed = {
        'env_cfg': ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
        'auto_scale_lr': ('enable', 'base_batch_size'),
    }
    if path in fixed:
        return _Arguments(dict.fromkeys(fixed[path]))
    if path == 'randomness':
        return _arguments(Runner.set_randomness)
    if last.endswith('dataloader'):
        loader = _arguments(DataLoader)
        return _Arguments({**loader.names, **dict.fromkeys(_OF_LOADERS)})
    kind = value.get('type')
    if kind is None and path in ('train_cfg', 'val_cfg', 'test_cfg'):
        loops = dict(val_cfg='ValLoop', test_cfg='TestLoop')
        train = 'Epoch' if value.get('by_epoch', True) else 'Iter'
        kind = loops.get(path, f'{train}BasedTrainLoop')
    if kind is None and path == 'optim_wrapper':
        kind = 'OptimWrapper'
    found = _classes(kind, scope) if isinstance(kind, str) else [kind]
    if not found or not all(map(callable, found)):
        return None
    taken = [k for part, k in _TAKEN.items() if _is_part(path, part)]
    names = dict.fromkeys(['type', '_scope_', *sum(taken, ())])
    arguments = [_arguments(item) for item in found]
    for item in arguments:
        names.update(item.names)
    return _Arguments(names, all(item.closed for item in arguments))


def _is_part(path: str, part: str) -> bool:
    return path.split('.')[0].endswith(part)


@cache
def _classes(name: str, scope: str) -> list[Any]:
    """Return what the registries have under a name."""
    found = []
    own, name = Registry.split_scope_key(name)
    for root in vars(registries).values():
        if not isinstance(root, Registry):
            continue
        # Not switch_scope_and_registry, which warns of trees without scope.
        registry = root._search_child(own or scope) or root
        try:
            registry.import_from_location()
        except ImportError:  # mmengine says so when it builds the part
            continue
        while registry is not None and name not in registry.module_dict:
            registry = registry.parent
        if registry is not None:
            found.append(registry.module_dict[name])
    return found


@cache
def _arguments(kind: Any) -> _Arguments:
    """Return the arguments of a class with those of its bases.

    Those of a base count where the class passes on ``**kwargs``; a user's
    class may do something else with them.
    """
    try:
        if not inspect.isclass(kind):
            return _own_arguments(kind)
        names, known = {}, True
        for base in kind.__mro__:
            if base is nn.Module:
                return _Arguments(names, known)
            if '__init__' not in vars(base) or base is object:
                continue
            own = _own_arguments(base.__init__)
            known = known and (
                own.closed or base.__module__.startswith(_KNOWN)
            )
            names.update(own.names)
            if own.closed:
                return _Arguments(names, known)
    except (TypeError, ValueError):  # a builtin
        return _Arguments({}, False)
    return _Arguments(names, False)


def _own_arguments(function: Any) -> _Arguments:
    parameters = inspect.signature(function).parameters.values()
    return _Arguments(
        {
            p.name: p.annotation
            for p in parameters
            if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
            and p.name != 'self'
        },
        all(p.kind != p.VAR_KEYWORD for p in parameters),
    )
