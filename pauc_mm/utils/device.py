# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import torch


def pick_device(device: str) -> str:
    """Resolve 'auto' to 'cuda' if there is a GPU, else to 'cpu'.

    Raises:
        ValueError: If 'cuda' is asked for and torch sees no GPU.
    """
    has_gpu = torch.cuda.is_available()
    if device == 'cuda' and not has_gpu:
        raise ValueError(
            '--device cuda: torch sees no GPU; leave the option out.'
        )
    if device == 'auto':
        return 'cuda' if has_gpu else 'cpu'
    return device
