# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What is measured of a cell after its training."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from mmengine.runner import Runner


def find_measure(name: str) -> Callable[[Runner], dict]:
    """The function that a cell names.

    Args:
        name (str): ``module:function``.

    Returns:
        callable: From a trained runner to figures by name.

    Raises:
        ValueError: If there is no such function.
    """
    module, _, function = name.partition(':')
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f'Cell.measure={name!r} is no module:function: {error}.'
        ) from error


def validate(runner: Runner) -> dict[str, float]:
    """The recipe's own evaluators on its own data.

    Args:
        runner (Runner): After the training.

    Returns:
        dict[str, float]: Such as ``knn/k20``.

    Raises:
        ValueError: If the recipe has no validation.
    """
    if runner.val_loop is None:
        raise ValueError(
            'The recipe has no val_dataloader, val_cfg and val_evaluator: '
            'there is nothing to measure.'
        )
    figures = runner.val_loop.run()
    return {name: float(value) for name, value in figures.items()}
