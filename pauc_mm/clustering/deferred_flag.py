# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch


class DeferredFlag:
    """Error flag of a device that is read one step later, without a sync.

    Reading a value that a GPU has just computed would make the CPU wait for
    it. The flag is copied to pinned memory in the background instead, and
    read in the next step, when the copy is long done. All ranks read it in
    the same step. On a CPU it is read at once.
    """

    def __init__(self) -> None:
        self._copy: torch.Tensor | None = None
        self._event: torch.cuda.Event | None = None

    def set(self, flag: torch.Tensor) -> None:
        """Store a flag, a scalar tensor that is zero where all is well."""
        if flag.device.type != 'cuda':
            self._copy = flag
            return
        self._copy = torch.empty((), dtype=flag.dtype, pin_memory=True)
        self._copy.copy_(flag, non_blocking=True)
        self._event = torch.cuda.current_stream().record_event()

    def raised(self) -> bool:
        """Return whether the stored flag is not zero, and clear it."""
        if self._copy is None:
            return False
        if self._event is not None:
            self._event.synchronize()
        raised = bool(self._copy != 0)
        self._copy = self._event = None
        return raised

    def __reduce__(self):
        # CUDA events cannot be copied, so the copy of a model starts cleared.
        return DeferredFlag, ()
