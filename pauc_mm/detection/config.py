# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What only the config of a detector needs before training."""

from mmengine.config import Config, ConfigDict


def use_pseudo_collate(cfg: Config) -> None:
    """Keeps images of different sizes apart in a batch, as mmdet expects.

    Args:
        cfg (Config): Changed in place where it does not say how to collate.
    """
    for loop in ('train', 'val', 'test'):
        loader = cfg.get(f'{loop}_dataloader')
        if isinstance(loader, dict):
            loader.setdefault('collate_fn', ConfigDict(type='pseudo_collate'))
