# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Find the keys of a config that nothing reads.

A config is a dict of anything: mmengine passes over a key that it does not
know, and a class that takes ``**kwargs`` names a base class in its error.
"""

import inspect
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from difflib import get_close_matches
from functools import cache
from typing import Any, NamedTuple

from mmengine import registry as registries
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import Registry
from mmengine.runner import Runner, loops
from torch.utils.data import DataLoader

from pauc_mm.clustering import FaissKMeans, ShardedKMeans

# Read by mmengine or by the tools, although no argument of the Runner.
_TOP = (
    'runner_type custom_imports find_unused_parameters annotation_check '
    'activation_checkpointing efficient_conv_bn_eval compile'
).split()
# Taken out of a config before the class is called, by a pattern of the path.
_TAKEN = {
    '.*': ('type', '_scope_'),
    '.*_hooks.*': ('priority',),
    'param_scheduler.*': ('convert_to_iter_based',),
    'optim_wrapper.*': ('optimizer', 'paramwise_cfg', 'constructor'),
    'train_cfg': ('by_epoch',),
    '.*dataloader': ('dataset', 'batch_sampler', 'num_batch_per_epoch'),
}
# What parts take that are built without a class of their own.
_FIXED = {
    'env_cfg': ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
    'auto_scale_lr': ('enable', 'base_batch_size'),
}
# What builds a part without ``type``.
_BUILT: dict[str, list[Any]] = {
    'optim_wrapper': [OptimWrapper],
    'train_cfg': [loops.EpochBasedTrainLoop, loops.IterBasedTrainLoop],
    'val_cfg': [loops.ValLoop],
    'test_cfg': [loops.TestLoop],
    'randomness': [Runner.set_randomness],
    'default_hooks.clustering.kmeans': [FaissKMeans, ShardedKMeans],
}
# mmengine removes these, and only these, for None.
_REMOVABLE = (
    'runtime_info timer sampler_seed logger param_scheduler checkpoint'
).split()
_KNOWN = ('pauc_mm.', 'mm', 'torch.')
_NUMBERS = set('int float bool None torch Tensor Optional Union'.split())
# Layers and policies: their builders take keys of their own out.
_REWRITTEN = ('_cfg', 'dcn', 'policies')
_ALIKE = 0.85  # two letters swapped in train_cfg


class _Arguments(NamedTuple):
    names: dict[str, Any]  # with their annotations
    closed: bool = True  # whether a part takes no others


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
    hooks = cfg.get('default_hooks') or {}
    for name, hook in hooks.items():
        removed = hook is None and name in _REMOVABLE
        if not (removed or isinstance(hook, Hook) or 'type' in (hook or {})):
            near = _nearest(name, {*hooks} - {name})
            what = f'{name}, which has no type'
            wrong.append(_unknown(what, 'default_hooks.', near))
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
    places = ' or '.join(list(_places(cfg.to_dict(), key))[:3])
    near = places or _nearest(name, [*_top(), *cfg])
    raise KeyError(_unknown(name, '', near))


def _top() -> list[str]:
    return [*_arguments(Runner).names, *_TOP]


def _misspelt(key: str) -> str:
    top = _top()
    # A variable such as val_evaluator_small is no mistake.
    own = any(f'_{name}_' in f'_{key}_' for name in top)
    return '' if own else _nearest(key, top, _ALIKE)


def _nearest(key: Any, names: Iterable[str], cutoff: float = 0.6) -> str:
    return ''.join(get_close_matches(str(key), names, 1, cutoff))


def _unknown(key: str, path: str, near: str) -> str:
    hint = f' Did you mean {path}{near}?' if near else ''
    return f'Nothing reads {path}{key}.{hint}'


def _places(value: Any, key: str, path: str = '') -> Iterator[str]:
    """Find the paths of a config that end in a key."""
    for name, item in value.items() if isinstance(value, dict) else ():
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
    names, closed = _accepted(value, path, scope)
    kind = value.get('type')
    named = path.endswith('optimizer') and not callable(kind)
    if named and not _classes(str(kind), scope):
        # Of this alone mmengine does not say the name.
        near = _nearest(kind, registries.OPTIMIZERS.module_dict)
        hint = f' Did you mean {near}?' if near else ''
        yield f'{path}.type={kind!r} is unknown.{hint}'
    # Inside a model or data set, what builds a part may take keys out.
    direct = path.count('.') < 2 and path[:6] != 'model.' or path in _BUILT
    for key, item in value.items():
        if key not in names:
            near = _nearest(key, names, 0.6 if closed and direct else _ALIKE)
            if near or (closed and direct):
                yield _unknown(key, f'{path}.', near)
        elif (
            direct
            and _is_number(names[key])
            and isinstance(item, (list, tuple, str))
        ):
            yield f'{path}.{key} must be a number, got {item!r}.'
        if not str(key).endswith(_REWRITTEN):
            yield from _walk(item, f'{path}.{key}', scope)


def _is_number(annotation: Any) -> bool:
    kinds = {*re.findall(r'\w+', inspect.formatannotation(annotation))}
    return bool(kinds & {'int', 'float'}) and kinds <= _NUMBERS


def _accepted(value: dict, path: str, scope: str) -> _Arguments:
    """Return what a part takes; anything if nothing tells."""
    if path in _FIXED:
        return _Arguments(dict.fromkeys(_FIXED[path]))
    if path == 'optim_wrapper' and 'optimizer' not in value:
        return _Arguments({}, False)  # several, for a constructor
    kind = value.get('type')
    if isinstance(kind, str):
        found = _classes(kind, scope)
    elif path.endswith('dataloader'):
        found = [DataLoader]
    else:
        found = [kind] if callable(kind) else _BUILT.get(path, [])
    if not found:
        return _Arguments({}, False)
    names: dict[str, Any] = {}
    for part, taken in _TAKEN.items():
        if re.fullmatch(part, path):
            names.update(dict.fromkeys(taken))
    arguments = [_arguments(item) for item in found]
    for item in arguments:
        names.update(item.names)
    return _Arguments(names, all(item.closed for item in arguments))


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
        with suppress(ImportError):  # mmengine says so when it builds the part
            registry.import_from_location()
        modules = {**root.module_dict, **registry.module_dict}
        if name in modules:
            found.append(modules[name])
    return found


@cache
def _arguments(kind: Any) -> _Arguments:
    """Return the arguments of a function, or of a class and its bases.

    Those of a base count where the class passes on ``**kwargs``; a user's
    class may do something else with them.
    """
    names, known = {}, True
    for base in getattr(kind, '__mro__', [kind]):
        made_by = vars(base).get('__init__') if inspect.isclass(base) else base
        try:
            parameters = inspect.signature(made_by).parameters.values()
        except (TypeError, ValueError):  # a builtin, or nothing of its own
            continue
        names = {
            p.name: p.annotation
            for p in parameters
            if p.name != 'self'
            and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        } | names
        if all(p.kind != p.VAR_KEYWORD for p in parameters):
            return _Arguments(names, known)
        known = known and base.__module__.startswith(_KNOWN)
    return _Arguments(names, False)
