# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

FORGETTING = ('responsibility', 'uniform')
WEIGHTS = ('mass', 'frequency')
STARTS = ('kmeans', 'random', 'directions')


def check_options(options: dict) -> None:
    """Refuse options of an online mixture that are out of range.

    Args:
        options (dict): Arguments of
            :class:`~pauc_mm.clustering.OnlineGaussianMixture`, by name.

    Raises:
        ValueError: Naming the first that is wrong, and its value.
    """

    def check(name, good, wanted):
        if not good:
            raise ValueError(
                f'{name} must be {wanted}, but is {options[name]!r}.'
            )

    def number(name, kind=(int, float)):
        value = options[name]
        is_number = isinstance(value, kind) and not isinstance(value, bool)
        return value if is_number and math.isfinite(value) else -1

    for name in ('num_components', 'dim', 'scratch_mib'):
        check(name, number(name, int) >= 1, 'an integer >= 1')
    for name in ('annealing_steps', 'seed'):
        check(name, number(name, int) >= 0, 'an integer >= 0')
    check('eta', 0 < number('eta') < 1, 'in (0, 1)')
    check('start_temperature', number('start_temperature') >= 1, '>= 1')
    check('min_variance', number('min_variance') > 0, 'positive')
    for name, known in (
        ('forgetting', FORGETTING),
        ('weights', WEIGHTS),
        ('init', STARTS),
    ):
        check(name, options[name] in known, f'one of {known}')
    samples = options['init_samples']
    if samples is None:
        return
    if number('init_samples', int) < options['num_components']:
        raise ValueError(
            f'init_samples={samples!r} must be an integer >= num_components='
            f'{options["num_components"]}: every component begins as one of '
            'the samples seen at initialisation.'
        )
