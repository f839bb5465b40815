# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Runs of the study."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.runner import ConfigRun
from experiments.runner.command_line import check_choice, check_packages
from experiments.runner.unique_shares_hook import FILE_NAME

from .settings import DATA, METHODS, TAILS


def study_runs(
    data: Sequence[str],
    tails: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    epochs: int | None = None,
) -> list[ConfigRun]:
    """Declare a run for each combination, those of the first seed first.

    Raises:
        ValueError: If a name is unknown.
        ImportError: If a package with images is missing.
    """
    for option, names, known in (
        ('--data', data, DATA),
        ('--tails', tails, TAILS),
        ('--methods', methods, METHODS),
    ):
        check_choice(option, names, known)
    check_packages(data, DATA)
    return [
        study_run(name, tail, method, seed, epochs)
        for seed in seeds
        for name in data
        for tail in tails
        for method in methods
    ]


def study_run(
    data: str, tail: str, method: str, seed: int, epochs: int | None = None
) -> ConfigRun:
    """Declare one run; see :func:`study_runs`."""
    # Other seeds make other classes rare.
    tailed = {'train_dataloader.dataset.imbalance_seed': seed}
    length = '' if epochs is None else f'_{epochs}ep'
    recipe = METHODS[method].recipe
    return ConfigRun(
        name=f'{data}-{tail}_{method}{length}_seed{seed}',
        config=f'pauc_mm::carp/{recipe}_tiny_{data}{TAILS[tail]}.py',
        options={
            'randomness.seed': seed,
            'default_hooks.unique_shares.type': 'UniqueSharesHook',
            **(tailed if TAILS[tail] else {}),
            **METHODS[method].options,
        },
        setting=dict(data=data, tail=tail, method=method, seed=seed),
        epochs=epochs,
        files=(FILE_NAME,),
    )
