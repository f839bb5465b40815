# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmpretrain.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class CPUAmpOptimWrapper(OptimWrapper):
    """Mixed precision on a CPU, which mmengine's AmpOptimWrapper refuses.

    The forward pass runs under ``torch.autocast`` in bfloat16. Its range of
    exponents is that of float32, so the loss is not scaled.

    Args:
        dtype (str): Only ``'bfloat16'``.
        **kwargs: Arguments of mmengine's ``OptimWrapper``.
    """

    def __init__(self, dtype: str = 'bfloat16', **kwargs) -> None:
        if dtype not in ('bfloat16', torch.bfloat16):
            raise ValueError(
                f"optim_wrapper.dtype must be 'bfloat16' on a CPU, got "
                f"'{dtype}'. Set it, or train without --amp."
            )
        super().__init__(**kwargs)

    @contextmanager
    def optim_context(self, model: torch.nn.Module):
        """Run the forward pass under autocast."""
        autocast = torch.autocast('cpu', dtype=torch.bfloat16)
        with super().optim_context(model), autocast:
            yield
