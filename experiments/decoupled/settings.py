# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Methods and data of the study: a line adds a setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.runner.command_line import SMALL_DATA


@dataclass(frozen=True)
class Method:
    """A row of the tables.

    Attributes:
        label (str): Name in tables and plots.
        recipe (str): Beginning of the config's name, before ``_tiny_``.
        options (Mapping): Changes of the config, as ``--cfg-options``.
        by_default (bool): Whether it is run without being named.
    """

    label: str
    recipe: str
    options: Mapping[str, Any] = field(default_factory=dict)
    by_default: bool = True


_AFTER = {'model.prototypes.update': 'after'}
_BEFORE = {'model.prototypes.update': 'before'}
# From b = 1/4 to 1 in a third of the steps of the digits; --epochs scales it.
_ANNEALED = {
    'model.prototypes.start_temperature': 4.0,
    'model.prototypes.annealing_steps': 440,
}
# The first is what the others are compared with.
METHODS = {
    'joint': Method('joint CARP', 'carp'),
    'decoupled': Method('decoupled CARP', 'carp_decoupled'),
    'joint-koleo': Method(
        'joint CARP with KoLeo',
        'carp',
        {'model.head.koleo_loss': {'type': 'KoLeoLoss', 'loss_weight': 0.1}},
        by_default=False,
    ),
    'decoupled-before': Method(
        'decoupled CARP, mixture before the loss',
        'carp_decoupled',
        _BEFORE,
        by_default=False,
    ),
    'decoupled-after-annealed': Method(
        'decoupled CARP, after, annealed',
        'carp_decoupled',
        {**_AFTER, **_ANNEALED},
        by_default=False,
    ),
    'decoupled-before-annealed': Method(
        'decoupled CARP, before, annealed',
        'carp_decoupled',
        {**_BEFORE, **_ANNEALED},
        by_default=False,
    ),
    'decoupled-eta0.9': Method(
        'decoupled CARP, before, eta 0.9',
        'carp_decoupled',
        {**_BEFORE, 'model.prototypes.eta': 0.9},
        by_default=False,
    ),
    'decoupled-eta0.8-floor': Method(
        'decoupled CARP, before, eta 0.8, floor 1e-3',
        'carp_decoupled',
        {
            **_BEFORE,
            'model.prototypes.eta': 0.8,
            'model.prototypes.min_variance': 1e-3,
        },
        by_default=False,
    ),
    'joint-lr0.5': Method(
        'joint CARP, learning rate 0.5',
        'carp',
        {'optim_wrapper.optimizer.lr': 0.5},
        by_default=False,
    ),
    'decoupled-from-data': Method(
        'decoupled CARP, means that begin among the embeddings',
        'carp_decoupled',
        {'model.prototypes.init': 'kmeans'},
        by_default=False,
    ),
    'joint-no-entropy': Method(
        'joint CARP without the entropy term',
        'carp',
        {'model.head.uniform_weight': 0.0},
        by_default=False,
    ),
}
DATA = SMALL_DATA
# End of the config's name for each.
TAILS = {'balanced': '', 'long-tailed': '_lt'}
