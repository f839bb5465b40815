# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Infer a ResNet of mmpretrain from the names and shapes of weights."""

import re
from collections import Counter

from mmpretrain.models.backbones import ResNet, ResNet_CIFAR
from mmpretrain.models.backbones.resnet import BasicBlock, Bottleneck
from torch import Tensor

from pauc_mm.utils.checks import listed

from .file import State

# Common to torchvision, mmpretrain and all that is derived from torchvision.
PARAMETER = re.compile(
    r'(?:conv1|bn1|layer\d\.\d+\.(?:conv[123]|bn[123]|downsample\.[01]))'
    r'\.(?:weight|bias|running_mean|running_var|num_batches_tracked)'
)
SIGN = 'layer1.0.conv1.weight'

# Other numbers are those of a file from which weights are missing.
_BASIC = ((1, 1, 1, 1), (2, 2, 2, 2), (3, 4, 6, 3))
_DEEP = (*_BASIC, (3, 4, 23, 3), (3, 8, 36, 3), (3, 24, 36, 3))
# ResNet-20 to ResNet-110 for CIFAR: three stages, the first of 16 channels.
_CIFAR_BLOCKS = ((3,) * 3, (5,) * 3, (7,) * 3, (9,) * 3, (18,) * 3)


def infer_resnet(weights: State, padding: int = 1) -> tuple[ResNet, str]:
    """Build the ResNet that weights belong to, giving maps of all stages.

    The stride is in the 3x3 convolution, as in torchvision; a first
    convolution of 3x3 is taken for the CIFAR form (stride 1, no pooling), and
    ``padding`` is its. See :func:`assumption`. The name that is returned is
    such as 'ResNet-50' or 'ResNet-50 (width 128)'.

    Raises:
        ValueError: If mmpretrain's class cannot express it.
    """
    foreign = sorted(k for k in weights if not PARAMETER.fullmatch(k))
    if foreign:
        raise ValueError(
            'is not a plain ResNet: it also has '
            f'{listed(foreign, 3)} (a deep stem, ResNet-D or attention?)'
        )
    stem = _get(weights, 'conv1.weight')
    first = _get(weights, SIGN)
    blocks = {(*k.split('.')[:2],) for k in weights if k.startswith('layer')}
    counts = list(Counter(stage for stage, _ in sorted(blocks)).values())
    deep = 'layer1.0.conv3.weight' in weights
    inner = _get(weights, 'layer1.0.conv2.weight')
    last = _get(weights, 'layer1.0.conv3.weight') if deep else inner
    size = stem.shape[-1]
    if stem.shape[1] != 3 or size not in (3, 7):
        raise ValueError(
            f'begins with a convolution of shape {tuple(stem.shape)}: only '
            '3x3 and 7x7 ones on three channels are known'
        )
    if deep and inner.shape[1] != len(first):
        raise ValueError('has grouped convolutions (ResNeXt), not known here')
    # mmpretrain asserts that a BasicBlock does not expand.
    if len(last) % len(first) or (not deep and len(last) != len(first)):
        raise ValueError(
            f'has a block of {len(first)} inner and {len(last)} outer channels'
        )
    known: tuple[tuple[int, ...], ...] = _DEEP if deep else _BASIC
    if size == 3 and len(stem) == 16 and not deep:
        known += _CIFAR_BLOCKS
    if tuple(counts) not in known:
        raise ValueError(
            f'has stages of {counts} blocks, and ResNets of such blocks have '
            f'{", ".join(map(str, map(list, known)))}: weights are missing, '
            'or it is a network of your own'
        )
    network = ResNet if size == 7 else ResNet_CIFAR
    block = Bottleneck if deep else BasicBlock
    # Any number of blocks: mmpretrain looks the depth up in this table.
    settings = {0: (block, tuple(counts))}
    kind = type(network.__name__, (network,), dict(arch_settings=settings))
    stages = len(counts)
    model = kind(
        depth=0,
        stem_channels=len(stem),
        base_channels=len(first),
        expansion=len(last) // len(first),
        num_stages=stages,
        strides=(1, 2, 2, 2)[:stages],
        dilations=(1,) * stages,
        out_indices=range(stages),
        init_cfg=None,
    )
    if size == 3:
        model.conv1.padding = (padding, padding)
    name = f'ResNet-{sum(counts) * (3 if deep else 2) + 2}'
    if len(first) != 64:
        name += f' (width {len(first)})'
    return model, name


def assumption(model: ResNet) -> str:
    """Return a sentence on what the weights of a ResNet do not tell."""
    conv = model.conv1
    pooled = 'max-pooling 3x3 of stride 2' if hasattr(model, 'maxpool') else ''
    return (
        'Assumed, as weights do not tell: the first convolution '
        f'({conv.kernel_size[0]}x{conv.kernel_size[0]}) has stride '
        f'{conv.stride[0]} and padding {conv.padding[0]}, with '
        f'{pooled or "no pooling"} after it; the stages have strides '
        f'{", ".join(map(str, model.strides))} in their 3x3 convolutions, '
        'without dilation and anti-aliasing. If that is wrong, all results '
        'are: name a config whose model.backbone is the network (--config).'
    )


def _get(weights: State, key: str) -> Tensor:
    if key not in weights or weights[key].dim() != 4:
        raise ValueError(f"has no convolution '{key}'")
    return weights[key]
