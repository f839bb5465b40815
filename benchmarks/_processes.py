# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Worker processes, alone or joined by torch.distributed."""

from __future__ import annotations

import datetime
import multiprocessing
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.connection import wait

import torch
from _harness import set_threads


class Group:
    """Processes that run one function on the arguments they receive.

    They stay alive between runs, so that runs of groups of different sizes
    can be interleaved; while a group waits it takes no processor time. Use it
    in a ``with`` statement, which ends the processes.

    Args:
        function (Callable): At the top of a module.
        world_size (int): Processes; from two on they are joined by gloo, or
            by NCCL if each has a GPU of its own.
        threads (int): Threads of torch and faiss in each.
        device (str): 'cpu' or 'cuda'. Defaults to 'cpu'.
        quick (bool): Whether the processes are forked from one that has
            imported everything, for tests. Memory is better measured in
            processes that start from nothing, the default.
    """

    def __init__(
        self,
        function: Callable,
        world_size: int,
        threads: int,
        device: str = 'cpu',
        quick: bool = False,
    ) -> None:
        context = multiprocessing.get_context(
            'forkserver' if quick else 'spawn'
        )
        if quick:
            context.set_forkserver_preload(
                ['pauc_mm', 'faiss', 'sklearn.metrics']
            )
        self._folder = tempfile.TemporaryDirectory()
        self._pipes, self._processes = [], []
        for rank in range(world_size):
            here, there = context.Pipe()
            process = context.Process(
                target=_serve,
                args=(
                    function,
                    rank,
                    world_size,
                    threads,
                    device,
                    self._folder.name,
                    there,
                ),
                daemon=True,
            )
            process.start()
            there.close()
            self._pipes.append(here)
            self._processes.append(process)

    def run(self, *args) -> list:
        """Run the function in all processes at the same time.

        Args:
            *args: Its arguments, the same for all.

        Returns:
            list: What it returned, by rank.

        Raises:
            RuntimeError: A process failed or ended; the others are ended.
        """
        for pipe in self._pipes:
            pipe.send(args)
        results, waiting = {}, dict(enumerate(self._pipes))
        while waiting:
            ready = wait(list(waiting.values()))
            for rank, pipe in list(waiting.items()):
                if pipe not in ready:
                    continue
                del waiting[rank]
                try:
                    done, value = pipe.recv()
                except (EOFError, ConnectionError):
                    done, value = False, 'It ended without an answer.'
                if not done:
                    self._end()
                    raise RuntimeError(f'Process {rank} failed:\n{value}')
                results[rank] = value
        return [results[rank] for rank in range(len(results))]

    def __enter__(self) -> Group:
        return self

    def __exit__(self, *_) -> None:
        for pipe in self._pipes:
            try:
                pipe.send(None)
            except OSError:  # ended already
                pass
        for process in self._processes:
            process.join(timeout=20)
        self._end()
        self._folder.cleanup()

    def _end(self) -> None:
        for process in self._processes:
            if process.is_alive():
                process.terminate()
                process.join()


def _serve(function, rank, world_size, threads, device, folder, pipe):
    """Answer requests until None comes."""
    warnings.simplefilter('ignore')
    sys.stdout = sys.stderr  # the tables alone go to stdout, not the logs
    try:
        set_threads(threads)
        if device == 'cuda':
            torch.cuda.set_device(rank % torch.cuda.device_count())
        if world_size > 1:
            _join(rank, world_size, device, folder)
        while True:
            args = pipe.recv()
            if args is None:
                break
            pipe.send((True, function(*args)))
    except EOFError:  # the main process has gone
        return
    except Exception:
        pipe.send((False, traceback.format_exc()))
        return
    if world_size > 1:
        torch.distributed.destroy_process_group()


def _join(rank, world_size, device, folder):
    os.environ['LOCAL_RANK'] = str(rank)
    own_gpu = device == 'cuda' and torch.cuda.device_count() >= world_size
    torch.distributed.init_process_group(
        'nccl' if own_gpu else 'gloo',
        init_method=f'file://{folder}/rendezvous',
        rank=rank,
        world_size=world_size,
        timeout=datetime.timedelta(minutes=10),
    )
