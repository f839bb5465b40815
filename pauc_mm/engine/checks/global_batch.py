# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from mmengine.dist import get_world_size
from mmengine.runner import Runner


def global_batch_size(runner: Runner) -> int:
    """Images of a training step over all processes.

    Args:
        runner (Runner): The runner, its loop built.

    Returns:
        int: By the loader's ``batch_size`` or, with a batch sampler of one's
        own, by that of the sampler.

    Raises:
        ValueError: If that has none.
    """
    loader = runner.train_dataloader
    own = loader.batch_size
    if own is None:
        own = getattr(loader.batch_sampler, 'batch_size', None)
    if own is None:
        raise ValueError(
            'train_dataloader.batch_sampler='
            f'{type(loader.batch_sampler).__name__} has no attribute '
            'batch_size: give it one, the images of a step on one process, by '
            'which queue, clusters and mixtures are checked.'
        )
    return own * get_world_size()
