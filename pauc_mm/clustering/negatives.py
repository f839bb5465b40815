# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import numpy as np
import torch


def sample_negative_prototypes(
    num_prototypes: int,
    batch_ids: torch.Tensor,
    num_negatives: int,
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw prototypes that no sample of the batch is assigned to.

    Without replacement and uniformly: a random permutation is cut to
    r + N entries. The batch takes at most N of them, so the first r free
    ones are always among them. The shapes do not depend on the data, and
    nothing waits for the device.

    Args:
        num_prototypes (int): K, the number of prototypes.
        batch_ids (Tensor): Prototypes of the batch's samples, shape (N,),
            int64; duplicates are allowed.
        num_negatives (int): r, prototypes to draw; all free ones if they are
            fewer.
        generator (torch.Generator, optional): On the device of
            ``batch_ids``. Defaults to the global one.

    Returns:
        tuple[Tensor, Tensor]: Candidate ids, shape (min(K, r + N),), int64,
        and a mask of that shape that is True for the drawn ones.
    """
    device = batch_ids.device
    taken = torch.zeros(num_prototypes, dtype=torch.bool, device=device)
    taken.index_fill_(0, batch_ids, True)
    size = min(num_prototypes, num_negatives + len(batch_ids))
    candidates = _draw(num_prototypes, size, generator, device)
    free = ~taken.index_select(0, candidates)
    drawn = free & (free.cumsum(0) <= num_negatives)
    return candidates, drawn


@torch.compiler.disable
def _draw(num, size, generator, device):
    """Draw the first ``size`` entries of a random permutation of ``num``."""
    if device.type != 'cpu':
        return torch.randperm(num, generator=generator, device=device)[:size]
    # torch shuffles all of them, one by one; numpy stops at ``size``.
    seed = torch.randint(2**62, (1,), generator=generator).numpy()
    drawn = np.random.default_rng(seed).choice(num, size, replace=False)
    return torch.from_numpy(drawn)
