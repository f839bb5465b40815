# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""MoCo v2, PCL and PAUC of the ImageNet recipes, with random prototypes."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

import pauc_mm  # noqa: F401

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
# Recipe and number of training images.
SETS = {
    'in100': ('pauc/pauc_r50_8xb32_in100.py', 126689),
    'in1k': ('pauc_r50_8xb32_in1k.py', 1281167),
}
# Options of each class beyond those of its parent, in PAUC's config.
_PAUC_ONLY = ('align_loss', 'uniform_loss', 'corr_loss')
_PCL_ONLY = ('proto_head', 'num_clusters')
METHODS = ('MoCo', 'PCL', 'PAUC')
SMALL = dict(num_clusters=[25, 50, 100], queue_len=64)


def load_recipe(name: str, small: bool) -> tuple[Config, int]:
    """Return the config of PAUC for a set of prototypes, and N.

    Args:
        name (str): A key of ``SETS``.
        small (bool): Whether to shrink the prototypes and the queue.
    """
    file, num_samples = SETS[name]
    cfg = Config.fromfile(str(CONFIGS / file))
    if small:
        cfg.merge_from_dict(dict(model=SMALL))
        cfg.model.proto_head.num_negatives = 32
        num_samples = 500
    return cfg, num_samples


def build_model(
    cfg: Config, num_samples: int, method: str, options: dict
) -> torch.nn.Module:
    """Build a model in training mode on the device.

    Args:
        cfg (Config): From :func:`load_recipe`.
        num_samples (int): N.
        method (str): One of ``METHODS``. All have the same weights.
        options (dict): ``depth``, ``neck``, ``device``, ``channels_last``,
            ``compile`` and ``seed`` of the command line.
    """
    model_cfg = cfg.model.to_dict()
    model_cfg['type'] = method
    dropped = _PAUC_ONLY if method != 'PAUC' else ()
    dropped += _PCL_ONLY if method == 'MoCo' else ()
    for key in dropped:
        del model_cfg[key]
    model_cfg['data_preprocessor'] = cfg.data_preprocessor.to_dict()
    model_cfg['backbone']['depth'] = options['depth']
    width = 2048 if options['depth'] >= 50 else 512
    model_cfg['neck']['in_channels'] = width
    if options['neck'] == 'mlp':  # of MoCo v2 and PCL v2
        model_cfg['neck'] = dict(
            type='MoCoV2Neck',
            in_channels=width,
            hid_channels=width,
            out_channels=model_cfg['feat_dim'],
        )
    torch.manual_seed(options['seed'])
    model = MODELS.build(model_cfg).to(options['device']).train()
    if options['channels_last']:
        model = model.to(memory_format=torch.channels_last)
    if method != 'MoCo':
        _fill_prototypes(model, num_samples, options['seed'])
    if options['compile']:
        _compile(model, method)
    return model


def _compile(model, method: str) -> None:
    """Compile as mmengine's Runner does with ``compile=True``.

    Compiled, mmpretrain's MoCo loses the copy of its queue, and the backward
    pass stops with an error since the queue has changed: only its two
    encoders are compiled, which is nearly all of the step.
    """
    if method != 'MoCo':
        model.forward = torch.compile(model.forward)
        return
    for encoder in ((model.backbone, model.neck), model.encoder_k.module):
        for module in encoder:
            module.compile()


def _fill_prototypes(model, num_samples: int, seed: int) -> None:
    """Set random unit vectors and random assignments."""
    generator = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    clusters, dim = model.num_clusters, len(model.queue)
    model.prototypes.update(
        [torch.randn(k, dim, generator=generator) for k in clusters],
        [torch.rand(k, generator=generator) + 0.05 for k in clusters],
        torch.stack(
            [
                torch.randint(k, (num_samples,), generator=generator)
                for k in clusters
            ]
        ),
        device,
        0,
    )
    model.seed_negatives(seed)


def make_batch(num_samples: int, options: dict) -> dict:
    """Return two views of random images, collated as by a dataloader.

    Args:
        num_samples (int): N, for the ``sample_idx``.
        options (dict): ``batch``, ``image_size``, ``device``,
            ``channels_last`` and ``seed`` of the command line.
    """
    generator = torch.Generator().manual_seed(options['seed'] + 1)
    size, batch = options['image_size'], options['batch']
    views = [
        torch.randint(
            0,
            256,
            (batch, 3, size, size),
            generator=generator,
            dtype=torch.uint8,
        ).to(options['device'])
        for _ in range(2)
    ]
    if options['channels_last']:
        views = [
            view.contiguous(memory_format=torch.channels_last)
            for view in views
        ]
    indices = torch.randint(num_samples, (batch,), generator=generator)
    samples = [
        DataSample(metainfo=dict(sample_idx=index))
        for index in indices.tolist()
    ]
    return dict(inputs=views, data_samples=samples)


def build_step(cfg: Config, model: torch.nn.Module, batch: dict, options):
    """Run a training step: preprocessing, forward, backward, SGD.

    Args:
        cfg (Config): From :func:`load_recipe`.
        model (nn.Module): From :func:`build_model`.
        batch (dict): From :func:`make_batch`.
        options (dict): ``amp`` and ``device`` of the command line.

    Returns:
        Callable: Without arguments; gives the dict of losses.
    """
    wrapper_cfg = cfg.optim_wrapper.to_dict()
    if options['amp']:
        on_gpu = options['device'] == 'cuda'
        wrapper_cfg['type'] = (
            'AmpOptimWrapper' if on_gpu else 'CPUAmpOptimWrapper'
        )
        wrapper_cfg['dtype'] = options['amp']
    wrapper = build_optim_wrapper(model, wrapper_cfg)
    return lambda: model.train_step(batch, wrapper)
