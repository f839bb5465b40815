# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Compare the schedules of the learning rate with the length of a run."""

import logging
from collections.abc import Sequence
from typing import Any

from mmengine.logging import print_log


def check_learning_rates(
    schedulers: Sequence[Any], epochs: int | None, steps: int
) -> None:
    """Warn of a schedule that is cut off; refuse one that is over early.

    ``schedulers`` are mmengine's, built, and resumed. ``epochs`` and ``steps``
    are the length of the run; a run may have no epochs.

    Raises:
        ValueError: If the learning rate would be zero for the rest of the
            run, or rise again.
    """
    ends = []
    for index, scheduler in enumerate(schedulers):
        total = epochs if scheduler.by_epoch else steps
        last = _last_change(scheduler)
        if scheduler.param_name != 'lr' or total is None or last is None:
            continue
        meant = (
            f'param_scheduler.{index} ({type(scheduler).__name__}) is meant '
            f'for {last} {"epochs" if scheduler.by_epoch else "steps"}'
        )
        ends.append((last / total, index, total, scheduler, meant))
        milestones = getattr(scheduler, 'milestones', ())
        # Recipes with a warm-up end a little early.
        left = total - scheduler.begin  # milestones count from there
        if last * 0.9 > total or any(m >= left for m in milestones):
            print_log(
                f'{meant}, and the run ends after {total}: the learning rate '
                'does not come down as the schedule says. Scale T_max, end '
                'and milestones with the run, unless it is only a test.',
                logger='current',
                level=logging.WARNING,
            )
    if not ends or len(ends) < len(schedulers):
        return
    # The schedule that ends last rules the rest of the run.
    share, _, total, scheduler, meant = max(ends)
    if share >= 1:
        return
    rises = hasattr(scheduler, 'T_max') and scheduler.end > total * share
    if not rises and getattr(scheduler, 'eta_min', None) != 0:
        return
    fault = 'rises again' if rises else 'is 0, so that nothing is learned,'
    raise ValueError(
        f'{meant}, and the run has {total}: after that the learning rate '
        f'{fault} up to the end. Scale the schedule to {total}. A resumed '
        'run keeps the schedule of its checkpoint: start a new one from its '
        'weights with load_from.'
    )


def _last_change(scheduler: Any) -> float | None:
    """Return the epoch or step after which it stays, if that is known."""
    if hasattr(scheduler, 'T_max'):
        return scheduler.begin + scheduler.T_max
    if hasattr(scheduler, 'milestones'):
        return scheduler.begin + max(scheduler.milestones, default=0)
    return scheduler.end if hasattr(scheduler, 'total_iters') else None
