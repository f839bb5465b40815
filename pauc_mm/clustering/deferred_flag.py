# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch


class DeferredFlag:
    """Whether something has gone wrong on the device, read one step later.

    A value on a GPU can be read only when the GPU has come that far; a
    training step that reads what it has just computed leaves the GPU with
    nothing to do. So the value is copied in the background and read in the
    next step, while the GPU still has the rest of this one before it. All
    ranks read it in the same step. On a CPU it is read at once.
    """

    def __init__(self) -> None:
        self._copy: torch.Tensor | None = None
        self._event = None

    def set(self, flag: torch.Tensor) -> None:
        """Note a flag.

        Args:
            flag (Tensor): A scalar; zero where all is well.
        """
        if flag.device.type != 'cuda':
            self._copy = flag
            return
        self._copy = torch.empty((), dtype=flag.dtype, pin_memory=True)
        self._copy.copy_(flag, non_blocking=True)
        self._event = torch.cuda.Event()
        self._event.record()

    def raised(self) -> bool:
        """Whether the last flag was not zero; asked once for each."""
        if self._copy is None:
            return False
        if self._event is not None:
            self._event.synchronize()
        raised = bool(self._copy != 0)
        self._copy = self._event = None
        return raised

    def __reduce__(self):
        # Copies of a model begin without: an event is not to be copied.
        return DeferredFlag, ()
