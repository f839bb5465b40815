# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from mmengine.dist import broadcast_object_list
from mmengine.runner import Runner


def shared_seed(runner: Runner) -> int:
    """Return the first rank's seed; a collective call.

    With ``randomness.diff_rank_seed`` each rank has a seed of its own, but
    what all must draw alike, such as negatives, needs one.
    """
    shared = [runner.seed]
    broadcast_object_list(shared)
    return shared[0]
