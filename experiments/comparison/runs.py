# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Runs of a suite."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from experiments.runner import ConfigRun
from experiments.runner.command_line import check_choice, check_packages
from pauc_mm.datasets.data_layout import check_layout

from .measure import MEASURE
from .settings import SUITES, Suite

TUNING_SEED = 0


def find_suite(name: str) -> Suite:
    """Look up a suite by name.

    Raises:
        ValueError: If there is none.
    """
    check_choice('--suite', [name], SUITES)
    return SUITES[name]


def comparison_runs(
    suite: Suite,
    data: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    epochs: int | None = None,
    gpus: int | None = None,
    rates: Mapping[tuple[str, str], float] | None = None,
) -> list[ConfigRun]:
    """Declare a run for each combination, those of the first seed first.

    ``rates`` maps (data, method) to the learning rate; others are the
    recipes'. For ``gpus`` see :func:`comparison_run`.

    Raises:
        ValueError: If a name is unknown.
        ImportError: If a package with images is missing.
    """
    check_names(suite, data, methods)
    rates = rates or {}
    return [
        comparison_run(
            suite, name, method, seed, rates.get((name, method)), epochs, gpus
        )
        for seed in seeds
        for name in data
        for method in methods
    ]


def tuning_runs(
    suite: Suite,
    data: Sequence[str],
    methods: Sequence[str],
    epochs: int | None = None,
) -> list[ConfigRun]:
    """Declare a run for each learning rate of each method, with one seed.

    The winning run doubles as the comparison's run for that seed.

    Raises:
        ValueError: If the suite has no rates to choose from, or a name is
            unknown.
        ImportError: If a package with images is missing.
    """
    if not suite.tuned:
        raise ValueError(
            f'--tune: {suite.title!r} takes the learning rates of its '
            'recipes: leave it out.'
        )
    check_names(suite, data, methods)
    return [
        comparison_run(suite, name, method, TUNING_SEED, rate, epochs)
        for name in data
        for method in methods
        for rate in suite.methods[method].rates
    ]


def comparison_run(
    suite: Suite,
    data: str,
    method: str,
    seed: int,
    rate: float | None = None,
    epochs: int | None = None,
    gpus: int | None = None,
) -> ConfigRun:
    """Declare one run.

    Args:
        suite (Suite): One of :data:`~.settings.SUITES`.
        data (str): Key of its data.
        method (str): Key of its methods.
        seed (int): Seed.
        rate (float, optional): Learning rate instead of the recipe's.
        epochs (int, optional): Length instead of the recipe's.
        gpus (int, optional): Number of GPUs instead of the recipe's. The
            batch of each is scaled so that a step has as many images.

    Returns:
        ConfigRun: With ``data``, ``method``, ``seed`` and ``rate`` as
        setting.

    Raises:
        ValueError: If the batch cannot be shared among so many.
    """
    declared = suite.methods[method]
    config = 'pauc_mm::' + declared.config.format(data=data)
    recipe, batch = _rate_and_batch(config)
    rate = recipe if rate is None else rate
    length = '' if epochs is None else f'_{epochs}ep'
    options = {
        **suite.options,
        **declared.options_for(data),
        'randomness.seed': seed,
        # Also the recipe's own, which someone may edit while runs wait.
        'optim_wrapper.optimizer.lr': rate,
    }
    if gpus is not None and gpus != suite.gpus:
        share, rest = divmod(batch * suite.gpus, gpus)
        if rest or not share:
            raise ValueError(
                f'--gpus {gpus}: the {batch * suite.gpus} images of a step of '
                f'{config} cannot be shared among so many.'
            )
        options['train_dataloader.batch_size'] = share
        length += f'_{gpus}gpu'
    return ConfigRun(
        name=f'{data}_{method}_lr{rate:g}{length}_seed{seed}',
        setting=dict(data=data, method=method, seed=seed, rate=rate),
        config=config,
        options=options,
        epochs=epochs,
        measure=MEASURE,
    )


def recipe_rate(config: str) -> float:
    """Return the learning rate of a config, ``pauc_mm::NAME``."""
    return _rate_and_batch(config)[0]


@functools.cache
def _rate_and_batch(config: str) -> tuple[float, int]:
    """Return what a recipe had when this process first asked."""
    cfg = ConfigRun('recipe', {}, config).load()
    rate = float(cfg.optim_wrapper.optimizer.lr)
    return rate, cfg.train_dataloader.batch_size


def check_images(runs: Sequence[ConfigRun]) -> None:
    """Refuse data sets whose files are missing.

    Raises:
        FileNotFoundError: Naming what is missing.
    """
    for run in {run.setting['data']: run for run in runs}.values():
        cfg = run.load()
        for key in ('train', 'val', 'bank'):
            name = f'{key}_dataloader'
            check_layout(f'{name}.dataset', cfg[name].dataset)


def check_names(
    suite: Suite, data: Sequence[str], methods: Sequence[str]
) -> None:
    """Refuse unknown names, and images that are not installed.

    Raises:
        ValueError: If a name is unknown.
        ImportError: If a package with images is missing.
    """
    check_choice('--data', data, suite.data)
    check_choice('--methods', methods, suite.methods)
    check_packages(data, suite.data)
