# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from datetime import timedelta

import torch
from mmengine.config import Config
from mmengine.dist import is_distributed


def prepare_launch(cfg: Config) -> None:
    """Prepare a distributed run on a machine without a GPU.

    mmengine's launcher sets a CUDA device before it starts any process group,
    and passes one to DistributedDataParallel. Without a GPU the group is
    started here with gloo, and the model wrapper gets no device: the config
    is changed in place. A run of one process, or with CUDA, is left alone.

    Raises:
        ValueError: For a launcher other than pytorch without a GPU.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none' or torch.cuda.is_available():
        return
    if launcher != 'pytorch':
        raise ValueError(
            f'--launcher {launcher} needs GPUs and this machine has none; '
            'tools/dist_train.sh starts several CPU processes.'
        )
    if not is_distributed():
        seconds = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout')
        torch.distributed.init_process_group(
            backend='gloo',
            timeout=None if seconds is None else timedelta(seconds=seconds),
        )
    cfg.setdefault('env_cfg', {}).setdefault('dist_cfg', {})['backend'] = (
        'gloo'
    )
    if cfg.get('model_wrapper_cfg') is None:
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        )
