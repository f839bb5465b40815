# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Build ResNets of mmpretrain and torchvision for the same weights."""

import torch
import torchvision
from mmpretrain.models.backbones import ResNet, ResNet_CIFAR
from mmpretrain.models.backbones.resnet import Bottleneck
from mmpretrain.registry import MODELS
from torch import nn
from torchvision.models import resnet as tv

NAMES = {
    ('BasicBlock', (2, 2, 2, 2), 64): 'resnet18',
    ('BasicBlock', (3, 4, 6, 3), 64): 'resnet34',
    ('Bottleneck', (3, 4, 6, 3), 64): 'resnet50',
    ('Bottleneck', (3, 4, 23, 3), 64): 'resnet101',
    ('Bottleneck', (3, 8, 36, 3), 64): 'resnet152',
    ('Bottleneck', (3, 4, 6, 3), 128): 'wide_resnet50_2',
    ('Bottleneck', (3, 4, 23, 3), 128): 'wide_resnet101_2',
}
"""torchvision's and timm's names by block, blocks and inner channels."""


def backbone_config(model: ResNet) -> dict | None:
    """Return the config that builds a ResNet from :func:`.infer_resnet`.

    None if no depth that mmpretrain knows has its blocks.
    """
    blocks, stages = tuple(model.stage_blocks), model.num_stages
    depths = [
        depth
        for depth, (block, counts) in ResNet.arch_settings.items()
        if block is model.block and tuple(counts[:stages]) == blocks
    ]
    if not depths:
        return None
    cifar = isinstance(model, ResNet_CIFAR)
    cfg = dict(type='ResNet_CIFAR' if cifar else 'ResNet', depth=depths[0])
    expansion = 4 if model.block is Bottleneck else 1
    usual = dict(stem_channels=64, base_channels=64, expansion=expansion)
    for name, value in usual.items():
        if getattr(model, name) != value:
            cfg[name] = getattr(model, name)
    if stages < 4:
        cfg.update(
            num_stages=stages,
            strides=model.strides,
            dilations=model.dilations,
            out_indices=(stages - 1,),
        )
    return cfg


def build_resnet(model: ResNet, cfg: dict | None) -> ResNet:
    """Build a ResNet from its :func:`backbone_config`, as a user would.

    It gives the maps of all stages. Without a config it is ``model``.
    """
    if cfg is not None:
        stages = model.num_stages
        model = MODELS.build(dict(cfg, type=f'mmpretrain.{cfg["type"]}'))
        model.out_indices = tuple(range(stages))
    return model


class StagedResNet(tv.ResNet):
    """ResNet of torchvision of any width that outputs the maps of its stages.

    The official implementations build theirs so. SwAV's has one pixel of the
    first convolution's zero padding in a layer of its own, which is the same.

    Args:
        like (ResNet): mmpretrain's, of which the sizes are taken.

    Raises:
        ValueError: If it has not four stages.
    """

    def __init__(self, like: ResNet) -> None:
        if like.num_stages != 4:
            raise ValueError(
                f'The ResNet has {like.num_stages} stages, and those of '
                'torchvision have four.'
            )
        block = getattr(tv, like.block.__name__)
        self._stem = like.stem_channels
        self._first = like.base_channels * like.expansion // block.expansion
        width = 64 * like.base_channels / self._first
        super().__init__(block, like.stage_blocks, width_per_group=width)
        self.conv1 = nn.Conv2d(3, self._stem, 7, 2, 3, bias=False)
        if isinstance(like, ResNet_CIFAR):
            padding = like.conv1.padding
            self.conv1 = nn.Conv2d(3, self._stem, 3, 1, padding, bias=False)
            self.maxpool = nn.Identity()
        self.bn1 = nn.BatchNorm2d(self._stem)
        self.fc = nn.Identity()

    def _make_layer(self, block, planes, *args, **kwargs):
        if planes == 64:  # the first stage, which follows the stem
            self.inplanes = self._stem
        planes = planes * self._first // 64
        return super()._make_layer(block, planes, *args, **kwargs)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the maps of the four stages."""
        return stage_maps(self, images)


def stage_maps(resnet: tv.ResNet, images: torch.Tensor) -> list[torch.Tensor]:
    """Compute the maps (N, C, H', W') of the stages of torchvision's ResNet.

    Images have shape (N, 3, H, W).
    """
    x = resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(images))))
    maps = []
    for i in range(1, 5):
        x = getattr(resnet, f'layer{i}')(x)
        maps.append(x)
    return maps


def timm_resnet(like: ResNet) -> tuple[str, dict]:
    """Return timm's name of a ResNet, and the arguments that it needs.

    Raises:
        ValueError: If timm's has no such stem or number of stages.
    """
    is_cifar = isinstance(like, ResNet_CIFAR)
    sizes = (3 if is_cifar else 7, like.stem_channels, like.num_stages)
    if sizes != (7, 64, 4):
        raise ValueError(
            'timm cannot build this ResNet: kernel and channels of the first '
            f'convolution and number of stages must be (7, 64, 4), got '
            f'{sizes}. --to mmpretrain or onnx writes it.'
        )
    deep = like.block is Bottleneck
    planes = like.base_channels * like.expansion // (4 if deep else 1)
    blocks = tuple(like.stage_blocks)
    name = NAMES.get((like.block.__name__, blocks, like.base_channels))
    if name is not None and planes == 64:
        return name, {}
    args = dict(layers=blocks, channels=[planes * 2**i for i in range(4)])
    if like.base_channels != planes:
        args['base_width'] = 64 * like.base_channels // planes
    return 'resnet50' if deep else 'resnet18', args


def plain_torchvision(like: ResNet) -> tuple[tv.ResNet, str]:
    """Build torchvision's ResNet of the same sizes, without its classifier.

    Returns:
        tuple[ResNet, str]: With fresh weights, and the code that builds it.

    Raises:
        ValueError: If torchvision's has no such widths or stem.
    """
    outer = like.base_channels * like.expansion
    expected = 256 if like.block is Bottleneck else 64
    is_cifar = isinstance(like, ResNet_CIFAR)
    sizes = (3 if is_cifar else 7, like.stem_channels, outer, like.num_stages)
    if sizes != (7, 64, expected, 4):
        raise ValueError(
            'torchvision cannot build this ResNet: kernel and channels of the '
            'first convolution, channels of the first stage and number of '
            f'stages must be {(7, 64, expected, 4)}, got {sizes}.'
        )
    blocks, width = tuple(like.stage_blocks), like.base_channels
    block = like.block.__name__
    name = NAMES.get((block, blocks, width))
    if name is not None:
        model = torchvision.models.get_model(name, weights=None)
        code = f'torchvision.models.{name}()'
    else:
        kind = getattr(tv, block)
        model = tv.ResNet(kind, list(blocks), width_per_group=width)
        code = (
            f'torchvision.models.ResNet(torchvision.models.resnet.{block}, '
            f'{list(blocks)}, width_per_group={width})'
        )
    model.fc = nn.Identity()
    return model, code
