# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Changes of a config of a classifier or detector for fine-tuning."""

from collections.abc import Iterator

import torch
from mmengine.config import Config, ConfigDict
from mmengine.dist import get_world_size

from pauc_mm.checkpoints.weights import read_weights

from .config import accumulated_batches

PREFIX = 'backbone.'


def set_backbone_checkpoint(
    cfg: Config, checkpoint: str, prefix: str | None = None
) -> None:
    """Set the checkpoint that the backbone of a model begins with.

    Parts that began with the same weights as the backbone, such as the fifth
    stage in the head of a C4 detector, get it too. A hook is added that
    refuses to train if the weights do not fit.

    Args:
        cfg (Config): Of mmpretrain or mmdet; changed in place.
        checkpoint (str): A file, an address that mmengine knows, or 'none'
            for random weights.
        prefix (str, optional): Prefix of the names of the backbone's tensors
            in the checkpoint. By default for a file 'backbone.' if there are
            such names, else ''; for an address 'backbone.', but '' for
            torchvision's.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The config has no ``model.backbone``.
    """
    backbone = (cfg.get('model') or {}).get('backbone')
    if backbone is None:
        raise ValueError(
            'the config has no model.backbone to load the checkpoint into.'
        )
    before = _checkpoint_of(backbone)
    parts = [backbone]
    if before is not None:
        others = (d for d in _dicts(cfg.model) if d is not backbone)
        parts += [d for d in others if _checkpoint_of(d) == before]
    init = None
    if checkpoint != 'none':
        init = dict(type='Pretrained', checkpoint=checkpoint)
        prefix = _find_prefix(checkpoint) if prefix is None else prefix
        if prefix:
            init['prefix'] = prefix
    for part in parts:
        part.pop('pretrained', None)  # older spelling of init_cfg
        part['init_cfg'] = ConfigDict(init) if init else None
    hooks = cfg.setdefault('default_hooks', ConfigDict())
    hooks.setdefault(
        'backbone_check', ConfigDict(type='mmpretrain.BackboneCheckHook')
    )


def use_plain_norm_on_cpu(cfg: Config) -> bool:
    """Replace SyncBN, which needs GPUs, by BatchNorm of each process.

    The config, in which ``launcher`` is set, is changed in place if there are
    several processes and no GPU. Return whether there was any SyncBN.
    """
    if cfg.get('launcher', 'none') == 'none' or torch.cuda.is_available():
        return False
    synced = [d for d in _dicts(cfg.model) if d.get('type') == 'SyncBN']
    for norm in synced:
        norm['type'] = 'BN'
    return bool(synced)


def check_batch_size(cfg: Config) -> str | None:
    """Return a warning if the learning rate is meant for another batch.

    Call it once the processes have been joined. A learning rate that will be
    scaled needs no warning.
    """
    scale = cfg.get('auto_scale_lr') or {}
    base = scale.get('base_batch_size')
    batch = cfg.train_dataloader.get('batch_size', 1) * get_world_size()
    batch *= accumulated_batches(cfg)
    if not base or scale.get('enable') or batch == base:
        return None
    return (
        f'A step takes {batch} images ({get_world_size()} processes), and the '
        f'learning rate of the config is meant for {base}: use '
        '--auto-scale-lr to scale it, or change train_dataloader.batch_size.'
    )


def use_pseudo_collate(cfg: Config) -> None:
    """Keep images of different sizes apart in a batch, as mmdet expects.

    The config is changed in place where it does not say how to collate.
    """
    for loop in ('train', 'val', 'test'):
        loader = cfg.get(f'{loop}_dataloader')
        if isinstance(loader, dict):
            loader.setdefault('collate_fn', ConfigDict(type='pseudo_collate'))


def _checkpoint_of(part: dict) -> str | None:
    init = part.get('init_cfg')
    if isinstance(init, dict) and init.get('type') == 'Pretrained':
        return init.get('checkpoint')
    return None


def _dicts(value) -> Iterator[dict]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _dicts(item)


def _find_prefix(checkpoint: str) -> str:
    if '://' in checkpoint:
        return '' if checkpoint.startswith('torchvision://') else PREFIX
    names = read_weights(checkpoint)
    return PREFIX if any(k.startswith(PREFIX) for k in names) else ''
