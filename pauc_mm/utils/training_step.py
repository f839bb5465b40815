# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from mmengine.logging import MessageHub


def training_step() -> tuple[int, int]:
    """Return the steps done, and in all, as mmengine's Runner counts.

    The Runner restores them on resume, alike on all ranks, so a value derived
    from them continues as in an uninterrupted run.

    Raises:
        RuntimeError: If no Runner trains.
    """
    info = MessageHub.get_current_instance().runtime_info
    if 'iter' not in info or 'max_iters' not in info:
        raise RuntimeError(
            "The training step is read from mmengine's MessageHub, where its "
            'Runner writes it, but no Runner trains. In a loop of your own, '
            "call MessageHub.get_current_instance().update_info('iter', step) "
            "in each step, and once update_info('max_iters', steps)."
        )
    return int(info['iter']), int(info['max_iters'])
