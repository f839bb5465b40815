# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import torch
from mmengine.dist import (
    all_gather,
    all_gather_object,
    broadcast,
    broadcast_object_list,
    get_rank,
    get_world_size,
    is_main_process,
)
from torch import nn

_PATIENCE_S = 30.0


def gather_with_grad(local: torch.Tensor) -> torch.Tensor:
    """Concatenate the rows of all ranks; this rank's rows keep their gradient.

    For a loss that every rank computes on the same gathered rows. Each rank
    then owns only the part of the gradient that flows through its own rows,
    and DistributedDataParallel *averages* over ranks, so that part is
    multiplied by the number of ranks to leave the full gradient. The rows
    (N, ...), the same N on every rank, become (N * world, ...), in the order
    of the ranks.
    """
    world_size = get_world_size()
    if world_size == 1:
        return local
    gathered = list(all_gather(local.detach().contiguous()))
    own = local.clone()
    if own.requires_grad:
        own.register_hook(lambda grad: grad * world_size)
    gathered[get_rank()] = own
    return torch.cat(gathered)


def share_buffers(*modules: nn.Module) -> None:
    """Give every rank the buffers of rank 0; a collective call.

    Each rank keeps BatchNorm statistics of the images that it saw. In eval
    mode they must be alike, or the ranks embed with different networks; and
    those of rank 0 are the ones that a checkpoint holds.
    """
    if get_world_size() == 1:
        return
    for module in modules:
        for buffer in module.buffers():
            broadcast(buffer, src=0)


def raise_together(error: BaseException | None, what: str) -> None:
    """Stop every rank if any rank failed; a collective call.

    Without it the ranks that did not fail would wait for the one that did
    until the time-out of the process group. A rank that failed prints its
    traceback at once and waits 30 seconds for the others, so that they can
    name it too. If they are busy for longer it ends its process, and the
    launcher (torchrun, srun) theirs. ``error`` is what this rank caught, and
    ``what`` says in the message what was being done.

    Raises:
        BaseException: ``error`` itself on the ranks that failed.
        RuntimeError: On the others, naming the ranks and their errors.
    """
    message = None if error is None else f'{type(error).__name__}: {error}'
    impatience = None
    if error is not None and get_world_size() > 1:
        text = ''.join(traceback.format_exception(error))
        text = f'{what} failed on rank {get_rank()}:\n{text}'
        print(text, file=sys.stderr, flush=True)
        impatience = threading.Timer(_PATIENCE_S, os._exit, args=(1,))
        impatience.daemon = True
        impatience.start()
    messages = all_gather_object(message)
    if impatience is not None:
        impatience.cancel()
    if error is not None:
        raise error
    failed = [f'rank {r}: {m}' for r, m in enumerate(messages) if m]
    if failed:
        raise RuntimeError(f'{what} failed on ' + '; '.join(failed))


def first_over_ranks(found: torch.Tensor) -> tuple[int, list]:
    """Count what the ranks have found; a collective call.

    Each has found (n, ...), ascending; the first five of all are returned too.
    """
    parts = all_gather_object((len(found), found[:5].tolist()))
    first = sorted(item for _, items in parts for item in items)[:5]
    return sum(number for number, _ in parts), first


def on_main_process(function: Callable[[], Any], what: str) -> Any:
    """Call a function on rank 0 alone; a collective call.

    Its result is returned on every rank. ``what`` names it in a message.

    Raises:
        BaseException: What the function raises, on rank 0.
        RuntimeError: On the others then.
    """
    result, error = [None], None
    if is_main_process():
        try:
            result = [function()]
        except Exception as caught:
            error = caught
    raise_together(error, what)
    broadcast_object_list(result)
    return result[0]
