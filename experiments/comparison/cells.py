# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The cells of a suite."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

from experiments.runner import Cell, load_cell_config
from experiments.runner.choices import check_choice, check_packages
from pauc_mm.datasets.data_layout import check_layout

from .measure import MEASURE
from .settings import SUITES, Suite

TUNING_SEED = 0


def find_suite(name: str) -> Suite:
    """The suite of a name.

    Raises:
        ValueError: If there is none.
    """
    if name not in SUITES:
        raise ValueError(
            f'--suite: {name!r} is unknown: choose from {", ".join(SUITES)}.'
        )
    return SUITES[name]


def comparison_cells(
    suite: Suite,
    data: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    epochs: int | None = None,
    gpus: int | None = None,
    rates: Mapping[tuple[str, str], float] | None = None,
) -> list[Cell]:
    """One for each combination, those of the first seed first.

    Args:
        suite (Suite): One of :data:`~.settings.SUITES`.
        data (sequence of str): Keys of its data.
        methods (sequence of str): Keys of its methods.
        seeds (sequence of int): Seeds.
        epochs (int, optional): Length instead of the recipes'.
        gpus (int, optional): See :func:`comparison_cell`.
        rates (Mapping, optional): (data, method) to the learning rate; the
            recipe's where there is none. Defaults to the recipes'.

    Returns:
        list[Cell]: In the order in which they are to be run.

    Raises:
        ValueError: If a name is unknown or given twice.
        ImportError: If a package with images is missing.
    """
    check_names(suite, data, methods)
    return [
        comparison_cell(
            suite,
            name,
            method,
            seed,
            (rates or {}).get((name, method)),
            epochs,
            gpus,
        )
        for seed in seeds
        for name in data
        for method in methods
    ]


def tuning_cells(
    suite: Suite,
    data: Sequence[str],
    methods: Sequence[str],
    epochs: int | None = None,
) -> list[Cell]:
    """All learning rates of all methods, with one seed.

    That which is chosen is the cell of the comparison with that seed, and
    is run once.

    Args:
        suite (Suite): One that is tuned.
        data (sequence of str): Keys of its data.
        methods (sequence of str): Keys of its methods.
        epochs (int, optional): Length instead of the recipes'.

    Returns:
        list[Cell]: In the order in which they are to be run.

    Raises:
        ValueError: If the suite has no rates to choose from, or a name is
            unknown or given twice.
        ImportError: If a package with images is missing.
    """
    if not suite.tuned:
        raise ValueError(
            f'--tune: {suite.title!r} takes the learning rates of its '
            'recipes: leave it out.'
        )
    check_names(suite, data, methods)
    return [
        comparison_cell(suite, name, method, TUNING_SEED, rate, epochs)
        for name in data
        for method in methods
        for rate in suite.methods[method].rates
    ]


def comparison_cell(
    suite: Suite,
    data: str,
    method: str,
    seed: int,
    rate: float | None = None,
    epochs: int | None = None,
    gpus: int | None = None,
) -> Cell:
    """One cell; see :func:`comparison_cells`.

    Args:
        suite (Suite): One of :data:`~.settings.SUITES`.
        data (str): Key of its data.
        method (str): Key of its methods.
        seed (int): Seed.
        rate (float, optional): Learning rate instead of the recipe's.
        epochs (int, optional): Length instead of the recipe's.
        gpus (int, optional): Instead of those that the recipe is for; the
            batch of each is then larger or smaller, so that a step has as
            many images.

    Returns:
        Cell: Its place has ``data``, ``method``, ``seed`` and ``rate``.

    Raises:
        ValueError: If the batch cannot be shared among so many.
    """
    config = 'pauc_mm::' + suite.methods[method].config.format(data=data)
    own, batch = _rate_and_batch(config)
    rate = own if rate is None else rate
    length = '' if epochs is None else f'_{epochs}ep'
    options = {
        **suite.options,
        **suite.methods[method].options_for(data),
        'randomness.seed': seed,
        # Also the recipe's own, which someone may edit while cells wait.
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
    return Cell(
        name=f'{data}_{method}_lr{rate:g}{length}_seed{seed}',
        config=config,
        options=options,
        place=dict(data=data, method=method, seed=seed, rate=rate),
        epochs=epochs,
        measure=MEASURE,
    )


def recipe_rate(config: str) -> float:
    """The learning rate of a config, ``pauc_mm::NAME``."""
    return _rate_and_batch(config)[0]


@functools.cache
def _rate_and_batch(config: str) -> tuple[float, int]:
    """Of a recipe, as it was when this process first asked."""
    cfg = load_cell_config(Cell('recipe', config))
    rate = float(cfg.optim_wrapper.optimizer.lr)
    return rate, cfg.train_dataloader.batch_size


def check_images(cells: Sequence[Cell]) -> None:
    """Refuse data sets whose files are not there.

    Args:
        cells (sequence of Cell): One of each data set is looked at.

    Raises:
        FileNotFoundError: Naming what is missing.
    """
    for cell in {cell.place['data']: cell for cell in cells}.values():
        cfg = load_cell_config(cell)
        for key in ('train', 'val', 'bank'):
            name = f'{key}_dataloader'
            check_layout(f'{name}.dataset', cfg[name].dataset)


def check_names(
    suite: Suite, data: Sequence[str], methods: Sequence[str]
) -> None:
    """Refuse unknown names, and images that are not there.

    Raises:
        ValueError: If a name is unknown or given twice.
        ImportError: If a package with images is missing.
    """
    for option, names, known in (
        ('--data', data, suite.data),
        ('--methods', methods, suite.methods),
    ):
        check_choice(option, names, known)
    check_packages(data, suite.data)
