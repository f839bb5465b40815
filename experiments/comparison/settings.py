# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Suites of the comparison: a line adds a method, data or a suite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.runner.command_line import SMALL_DATA, Data
from experiments.runner.store import FREE_MEGABYTES

from .ablations import ABLATIONS, Options

# Learning rates that a method is tuned over: four, each three times the one
# before. From 0.36 on MoCo v2 collapses on the digits. CARP's recipes have
# rates some seventeen times as large, see carp_tiny_digits.py; decoupled CARP
# has the same ones, so that the two can be compared.
RATES = (0.0133, 0.04, 0.12, 0.36)
_CARP_RATES = (0.22, 0.67, 2.0, 6.0)


@dataclass(frozen=True)
class Method:
    """A row of the tables.

    Attributes:
        label (str): For people.
        config (str): Path of its config in the folder of configs; ``{data}``
            stands for the data set.
        rates (tuple[float, ...]): Learning rates that it is tuned over.
            Defaults to :data:`RATES`.
        group (str): Heading of the rows, in an ablation. Defaults to ''.
        options (Options): Changes of the config, as ``--cfg-options``; a
            mapping has a value by data set. Defaults to none.
    """

    label: str
    config: str
    rates: tuple[float, ...] = RATES
    group: str = ''
    options: Options = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Label with the heading of its rows."""
        return f'{self.group}: {self.label}' if self.group else self.label

    def options_for(self, data: str) -> Options:
        """Return the changes of the config on one data set."""
        return {
            key: value[data] if isinstance(value, Mapping) else value
            for key, value in self.options.items()
        }


@dataclass(frozen=True)
class Suite:
    """Methods on data sets.

    Attributes:
        title (str): Title of the report.
        about (str): A sentence under it.
        methods (Mapping[str, Method]): By name on the command line.
        data (Mapping[str, Data]): By name on the command line.
        report (str): File of the report in docs/.
        baseline (str): Method that the others are compared with.
        tuned (bool): Whether ``--tune`` may be asked for. Defaults to False.
        options (Mapping): Changes of every config, as ``--cfg-options``.
        seeds (tuple[int, ...]): Defaults to (0, 1, 2).
        gpus (int): GPUs that the recipes are for. Defaults to 1, or none.
        clock (str): Attribute of a result by which epochs are compared.
            Defaults to 'epoch_cpu_seconds', for a machine with other work.
        megabytes (int): Disk space of a run. Defaults to
            :data:`~experiments.runner.store.FREE_MEGABYTES`.
    """

    title: str
    about: str
    methods: Mapping[str, Method]
    data: Mapping[str, Data]
    report: str
    baseline: str = 'mocov2'
    tuned: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2)
    gpus: int = 1
    clock: str = 'epoch_cpu_seconds'
    megabytes: int = FREE_MEGABYTES

    @property
    def is_ablation(self) -> bool:
        """Whether its methods are changes of its baseline."""
        return any(method.group for method in self.methods.values())


_LABELS = {
    'mocov2': 'MoCo v2',
    'simclr': 'SimCLR',
    'swav': 'SwAV',
    'byol': 'BYOL',
    'pcl': 'PCL v1',
    'pclv2': 'PCL v2',
    'pauc': 'PAUC',
    'pauc_online_gmm': 'PAUC, online mixture',
    'cld': 'CLD',
    'carp': 'CARP',
    'carp_decoupled': 'CARP, decoupled',
}


def _recipe(method: str, rest: str) -> str:
    """Return a path such as 'carp/carp_decoupled_tiny_{data}.py'."""
    folder = 'pcl' if method == 'pclv2' else method.partition('_')[0]
    return f'{folder}/{method}_{rest}_{{data}}.py'


_SMALL = {
    name: Method(
        label,
        _recipe(name, 'tiny'),
        _CARP_RATES if name.startswith('carp') else RATES,
    )
    for name, label in _LABELS.items()
}


def _imagenet(data: str, about: str) -> Suite:
    batches = {('cld', 'in1k'): 64}
    return Suite(
        f'Methods compared on {about}',
        "The papers' settings, one encoder each; see the configs for what "
        'differs. Their linear classification, detection and so on of a '
        'checkpoint: `tools/benchmarks/evaluate_all.py`.',
        {
            name: Method(
                label, _recipe(name, f'r50_8xb{batches.get((name, data), 32)}')
            )
            for name, label in _LABELS.items()
        },
        {data: Data(about)},
        f'results_{data}.md',
        # The linear probe of the first process makes the others wait.
        options={'env_cfg.dist_cfg.timeout': 14400},
        seeds=(0,),
        gpus=8,
        clock='epoch_seconds',
        megabytes=4000,
    )


# Two runs go side by side on two cores, and forking a loading process in
# each short epoch takes a fifth of the time.
_SMALL_OPTIONS = {'train_dataloader.num_workers': 0}

SUITES = {
    'small': Suite(
        'Methods compared on small images',
        'Equal epochs, batch, backbone and augmentation (CLD has a third '
        'view, by its definition).',
        _SMALL,
        SMALL_DATA,
        'results.md',
        tuned=True,
        options=_SMALL_OPTIONS,
    ),
    'ablations': Suite(
        'Ablations of PAUC',
        'Each row changes one thing in the recipe of its data set.',
        {
            name: Method(
                label,
                _recipe('pclv2' if name == 'none' else 'pauc', 'tiny'),
                group=group,
                options=options,
            )
            for group, rows in ABLATIONS.items()
            for name, (label, options) in rows.items()
        },
        SMALL_DATA,
        'ablations.md',
        baseline='all',
        options=_SMALL_OPTIONS,
    ),
    'in100': _imagenet('in100', 'ImageNet-100'),
    'in1k': _imagenet('in1k', 'ImageNet-1k'),
}
