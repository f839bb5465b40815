# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""How the projects that train ResNets name what is in their checkpoints.

Sources: facebookresearch/moco (moco/builder.py), facebookresearch/moco-v3,
salesforce/PCL (pcl/builder.py), facebookresearch/swav (src/resnet50.py),
facebookresearch/dino (main_dino.py, utils.MultiCropWrapper),
facebookresearch/barlowtwins and vicreg, mmpretrain 1.2, torchvision.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch

from .inferred_resnet import PARAMETER, SIGN

State = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Names:
    """Prefixes of the parts of one encoder.

    Attributes:
        backbone (str): Of the ResNet.
        head (str, optional): Of the projection head.
        prototypes (str, optional): Of the prototypes.
    """

    backbone: str
    head: str | None = None
    prototypes: str | None = None


@dataclass(frozen=True)
class Layout:
    """The names in one project's checkpoints, without ``module.``.

    Attributes:
        name (str): What the user is told.
        online (Names): Of the encoder that is trained.
        momentum (Names, optional): Of its moving average.
        sign (str): A key begins with it, beside those of a ResNet.
        activation (str): Of the projection head; a class in torch.nn.
    """

    name: str
    online: Names
    momentum: Names | None = None
    sign: str = ''
    activation: str = 'ReLU'

    def matches(self, state: State) -> bool:
        """Whether a checkpoint is one of this layout, with a ResNet."""
        return self.online.backbone + SIGN in state and any(
            key.startswith(self.sign) for key in state
        )

    def unexplained(self, state: State) -> list[str]:
        """Keys of a checkpoint that are not known to this layout."""
        known = [n for n in (self.online, self.momentum) if n is not None]
        parts = [p for n in known for p in (n.head, n.prototypes) if p]
        parts += ['fc.', 'queue'] if self.sign != 'neck.' else ['queue']
        return [
            key
            for key in state
            if not key.startswith(tuple(parts))
            and not any(
                key.startswith(n.backbone)
                and PARAMETER.fullmatch(key[len(n.backbone) :])
                for n in known
            )
        ]


LAYOUTS = (
    Layout(
        'official DINO',
        *(
            Names(
                f'{net}.backbone.',
                f'{net}.head.mlp.',
                f'{net}.head.last_layer.',
            )
            for net in ('student', 'teacher')
        ),
        sign='student.head.',
        activation='GELU',
    ),
    Layout(
        'official MoCo',
        Names('encoder_q.', 'encoder_q.fc.'),
        Names('encoder_k.', 'encoder_k.fc.'),
        sign='encoder_q.',
    ),
    Layout(
        'official MoCo v3',
        Names('base_encoder.', 'base_encoder.fc.'),
        Names('momentum_encoder.', 'momentum_encoder.fc.'),
        sign='base_encoder.',
    ),
    Layout(
        'official SwAV',
        Names('', 'projection_head.', 'prototypes.'),
        sign='prototypes.',
    ),
    Layout(
        'official Barlow Twins or VICReg',
        Names('backbone.', 'projector.'),
        sign='projector.',
    ),
    *(
        Layout(
            'mmpretrain',
            Names('backbone.', 'neck.', 'head.loss_module.prototypes.'),
            Names(f'{average}.module.0.', f'{average}.module.1.'),
            sign=f'{average}.module.0.',
        )
        for average in ('encoder_k', 'target_net', 'momentum_encoder')
    ),
    Layout(
        'mmpretrain',
        Names('backbone.', 'neck.', 'head.loss_module.prototypes.'),
        sign='neck.',
    ),
    Layout('torchvision', Names('')),
)

_AVERAGED = re.compile(r'encoder_k|key|momentum|teacher|target|ema\b')
_OTHERS = (
    (r'patch_embed|cls_token|blocks\.\d+\.attn', 'a vision transformer'),
    (r'dwconv|downsample_layers', 'a ConvNeXt'),
    (r'features\.', 'a VGG, AlexNet, DenseNet or MobileNet'),
    (r'denoise|unet|vae\.', 'a generative model'),
)


_CONFIG_ADVICE = 'any other network needs the config that builds it: --config.'


def recognise(state: State, path: str, advice: str = _CONFIG_ADVICE) -> Layout:
    """Find the layout of a checkpoint with a ResNet.

    Args:
        state (dict[str, Tensor]): See :func:`find_state`.
        path (str): File, for messages.
        advice (str): What to do about any other network, for messages.

    Returns:
        Layout: The first of :data:`LAYOUTS` that matches, or one made for
        the only ResNet in it, under whatever prefix.

    Raises:
        ValueError: If there is no ResNet, or there are several. The message
            names the closest layout and keys that are not of it.
    """
    for layout in LAYOUTS:
        if layout.matches(state) and layout.name != 'torchvision':
            return layout
    prefixes = [key[: -len(SIGN)] for key in state if key.endswith(SIGN)]
    averaged = [p for p in prefixes if _AVERAGED.search(p)]
    online = [p for p in prefixes if p not in averaged] or averaged
    if len(online) == 1:
        momentum = averaged if averaged != online else []
        return Layout(
            'torchvision',
            Names(online[0], _head_beside(state, online[0])),
            Names(momentum[0], _head_beside(state, momentum[0]))
            if len(momentum) == 1
            else None,
        )
    closest = min(LAYOUTS, key=lambda layout: len(layout.unexplained(state)))
    strange = closest.unexplained(state)
    found = 'no ResNet'
    if online:
        found = f'several ResNets ({", ".join(map(repr, sorted(online)))})'
    else:
        for pattern, name in _OTHERS:
            if any(re.search(pattern, key) for key in state):
                found = f'what looks like {name}, and no ResNet'
                break
    first = ', '.join(strange[:3])
    close = (
        f'None of its {len(state)} keys is of a known layout, first {first}'
    )
    if len(strange) < len(state):
        close = (
            f'The closest known layout is {closest.name}: {len(strange)} of '
            f'its {len(state)} keys are not of that layout, first {first}'
        )
    raise ValueError(
        f"'{path}' has {found}. {close}. Known are ResNets of pauc_mm, "
        'mmpretrain, torchvision and the official MoCo, PCL, SwAV, DINO, '
        'Barlow Twins and VICReg; ' + advice
    )


def openmm_layout(state: State) -> Layout:
    """The layout of a checkpoint that is known to be of mmpretrain.

    Args:
        state (dict[str, Tensor]): See :func:`find_state`; the backbone need
            not be a ResNet.

    Returns:
        Layout: With the momentum encoder that is in the checkpoint, if any.
    """
    openmm = [layout for layout in LAYOUTS if layout.name == 'mmpretrain']
    for layout in openmm:
        if any(key.startswith(layout.sign) for key in state):
            return layout
    return openmm[-1]


def names_of(layout: Layout, state: State, momentum: bool, path: str) -> Names:
    """The names of one of the encoders of a checkpoint.

    Args:
        layout (Layout): The layout.
        state (dict[str, Tensor]): See :func:`find_state`.
        momentum (bool): Whether the momentum encoder is wanted.
        path (str): File, for messages.

    Returns:
        Names: Its prefixes; prototypes are the online encoder's where the
        momentum encoder has none of its own.

    Raises:
        ValueError: If the momentum encoder is wanted, and there is none.
    """
    if not momentum:
        return layout.online
    names = layout.momentum
    if names is None or not select(state, names.backbone):
        raise ValueError(
            f"'{path}' ({layout.name}) has no momentum encoder: leave out "
            'momentum=True (--momentum).'
        )
    if names.prototypes is None:
        names = Names(names.backbone, names.head, layout.online.prototypes)
    return names


def _head_beside(state: State, backbone: str) -> str | None:
    """Prefix of a Sequential that projects the features, if one is plain."""
    parent = backbone[:-1].rpartition('.')[0]
    parent = parent + '.' if parent else ''
    convolution = re.compile(
        re.escape(backbone) + r'layer\d\.\d+\.conv\d\.weight'
    )
    width = len(state[max(filter(convolution.fullmatch, state))])
    heads = [backbone + 'fc.']
    for name in ('projector', 'projection_head', 'projection', 'head'):
        heads += [f'{parent}{name}.{inner}' for inner in ('', 'layers.')]
    for head in heads:
        first = state.get(head + '0.weight')
        if first is not None and first.shape[1:] == (width,):
            return head
    return None


def describe(layout: Layout, state: State, resnet: str) -> str:
    """The layout in words.

    Args:
        layout (Layout): The layout.
        state (dict[str, Tensor]): The weights.
        resnet (str): Name of the ResNet.

    Returns:
        str: Such as 'official MoCo v2'. MoCo and PCL have the same names:
        they are told apart by the default length of the queue, 65536 and
        16384, where there is one.
    """
    if layout.name == 'torchvision' and layout.online.backbone:
        return f"{resnet} under '{layout.online.backbone}'"
    if layout.name in ('torchvision', 'mmpretrain'):
        return f'{layout.name} {resnet}'
    if layout.name == 'official MoCo':
        version = 'v2' if 'encoder_q.fc.0.weight' in state else 'v1'
        queue = state['queue'].shape[-1] if 'queue' in state else None
        names = {65536: 'MoCo', 16384: 'PCL'}
        return f'official {names.get(queue, "MoCo or PCL")} {version}'
    if 'prototypes.prototypes0.weight' in state:
        return 'official SwAV or DeepCluster-v2'
    return layout.name


def select(state: State, prefix: str | None) -> State:
    """The part of a state below a prefix, without the prefix."""
    if prefix is None:
        return {}
    return {
        key[len(prefix) :]: value
        for key, value in state.items()
        if key.startswith(prefix)
    }
