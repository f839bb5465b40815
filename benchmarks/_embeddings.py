# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Real embeddings of successive epochs, as many as in ImageNet-100."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

import pauc_mm  # noqa: F401
from pauc_mm.models.embed import embed_images

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs/pcl/pclv2_tiny_mnist.py'


def successive_embeddings(
    num: int,
    dim: int,
    warmup: int,
    epochs: int,
    seed: int,
    images: int = 4000,
) -> list[np.ndarray]:
    """Compute momentum embeddings of the same images after successive epochs.

    PCL is trained on MNIST images; the images that are embedded are
    augmented views of them, the same in each epoch.

    Args:
        num (int): N, how many views.
        dim (int): D, dimension of the embeddings.
        warmup (int): Epochs of training before the first embeddings.
        epochs (int): How many times to embed.
        seed (int): Of the training and the views.
        images (int): How many images to train on. Defaults to all 4,000.

    Returns:
        list[np.ndarray]: ``epochs`` matrices (N, D), float32.
    """
    cfg = Config.fromfile(str(CONFIG))
    cfg.train_dataloader.dataset.indices = images
    cfg.model.num_clusters = [images // 80, images // 40, images // 16]
    cfg.model.feat_dim = cfg.model.neck.out_channels = dim
    cfg.train_cfg.update(max_epochs=warmup + epochs, val_interval=1000)
    cfg.default_hooks.clustering.update(warmup_epochs=1, interval=1)
    for hook in ('checkpoint', 'checkpoint_guard'):
        cfg.default_hooks.pop(hook)
    cfg.default_hooks.logger.interval = 1000
    cfg.log_level = 'ERROR'
    cfg.randomness = dict(seed=seed)
    cfg.experiment_name = f'embeddings_{uuid.uuid4().hex}'
    with tempfile.TemporaryDirectory() as folder:
        cfg.work_dir = folder
        runner = Runner.from_cfg(cfg)
        keep = _Keep(_views(runner, num, seed), warmup)
        runner.register_hook(keep, priority='LOWEST')
        runner.train()
    return keep.matrices


def _views(runner: Runner, num: int, seed: int) -> torch.Tensor:
    """Return augmented views, uint8, (N, 3, 16, 16)."""
    torch.manual_seed(seed)
    dataset = runner.build_dataloader(runner.cfg.train_dataloader).dataset
    views = torch.empty(num, 3, 16, 16, dtype=torch.uint8)
    for i in range(0, num, 2):
        pair = dataset[i // 2 % len(dataset)]['inputs']
        views[i : i + 2] = torch.stack(pair)[: num - i]
    return views


class _Keep(Hook):
    """Embed the views at the end of each epoch after the warm-up."""

    def __init__(self, views: torch.Tensor, warmup: int) -> None:
        self.views = views
        self.warmup = warmup
        self.matrices = []

    @torch.no_grad()
    def after_train_epoch(self, runner: Runner) -> None:
        if runner.epoch < self.warmup:
            return
        runner.model.eval()
        rows = [
            embed_images(runner.model, (part - 127.5) / 127.5, momentum=True)[
                1
            ]
            for part in self.views.split(1024)
        ]
        runner.model.train()
        self.matrices.append(torch.cat(rows).numpy())
