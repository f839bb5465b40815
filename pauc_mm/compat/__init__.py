# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Changes to mmengine, made when ``pauc_mm`` is imported.

============================ ============================================ =====
what is changed              why                                          until
============================ ============================================ =====
``Config`` and ``hub``       ``pauc_mm::`` paths; packages are found      (a)
(:mod:`.config_paths`)       without ``pkg_resources``
loader of checkpoints,       mmengine's own files on torch 2.6 and newer, (b)
local or downloaded          without running code from them
(:mod:`.safe_load`)
``CheckpointGuardHook``      our files need no such loader                (b)
(:mod:`.plain_checkpoint`)
``default_collate``,         they fail on ``_scope_`` in inherited        (c)
``pseudo_collate``           configs
(:mod:`.collate`)
backend ``'atomic'``         a killed run leaves no half checkpoint,       (d)
(:mod:`.atomic_backend`)     and the whole one before it
============================ ============================================ =====

Each can go when mmengine (a) takes prefixes of other packages and finds them
by ``importlib``, (b) keeps its log history as plain values, (c) removes
``_scope_`` before it builds ``collate_fn``, (d) writes local files under
another name first and removes the old one last.

One change is to mmcv and made only with mmdet: where mmcv has no compiled
operators, ``pauc_mm.detection`` gives it two of torchvision's.
"""

from .atomic_backend import AtomicBackend
from .collate import default_collate, pseudo_collate
from .config_paths import install_config_paths
from .plain_checkpoint import from_plain, to_plain
from .safe_load import install_local_loader

__all__ = [
    'AtomicBackend',
    'default_collate',
    'from_plain',
    'install',
    'pseudo_collate',
    'to_plain',
]


def install() -> None:
    """Patch mmengine; the registered parts are in place by the import."""
    install_config_paths()
    install_local_loader()
