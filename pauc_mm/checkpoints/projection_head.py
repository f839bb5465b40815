# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Projection heads without a config."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import Tensor, nn

from .file import State


class ProjectionHead(nn.Module):
    """Projection head, rebuilt from the names and shapes of its weights.

    For heads that are one linear layer, or a ``Sequential`` of linear layers,
    BatchNorm and activations. Layers without weights are not in a checkpoint:
    a gap in the numbering is taken for the activation.

    Args:
        weights (dict[str, Tensor]): State of the head: 'weight' and 'bias',
            or '0.weight', '0.bias', '2.weight' and so on.
        activation (str): Class in torch.nn. Defaults to 'ReLU'.

    Raises:
        ValueError: If the weights are not such a head.
    """

    def __init__(self, weights: State, activation: str = 'ReLU') -> None:
        super().__init__()
        layers: dict[int, State] = {}
        for key, value in weights.items():
            match = re.fullmatch(r'(?:(\d+)\.)?(\w+)', key)
            if match is None:
                raise ValueError(f"'{key}' is not a layer of a Sequential")
            layers.setdefault(int(match[1] or 0), {})[match[2]] = value
        modules: list[nn.Module] = []
        for index in range(max(layers, default=-1) + 1):
            if index in layers:
                modules.append(_layer(index, layers[index]))
            elif not modules:
                raise ValueError('the layer 0 has no weights')
            else:  # of two such layers in a row one is dropout or the like
                known = isinstance(modules[-1], getattr(nn, activation))
                modules.append(
                    nn.Identity() if known else getattr(nn, activation)()
                )
        self.layers = nn.Sequential(*modules)
        single = 'weight' in weights
        self.layers.load_state_dict(
            {f'0.{k}' if single else k: v for k, v in weights.items()}
        )

    def forward(self, maps: Tensor | Sequence[Tensor]) -> tuple[Tensor]:
        """Project the backbone's last map.

        Args:
            maps (Tensor or tuple[Tensor]): Maps (N, C, H, W) or features
                (N, C); of several the last is used.

        Returns:
            tuple[Tensor]: One tensor (N, D), as the necks of mmpretrain.
        """
        last = maps if isinstance(maps, Tensor) else maps[-1]
        features = last.flatten(2).mean(-1) if last.dim() > 2 else last
        return (self.layers(features),)


def _layer(index: int, weights: State) -> nn.Module:
    if 'running_mean' in weights:
        return nn.BatchNorm1d(
            len(weights['running_mean']), affine='weight' in weights
        )
    weight = weights.get('weight')
    if weight is None or weight.dim() != 2:
        names = ', '.join(
            f'{name} {tuple(value.shape)}' for name, value in weights.items()
        )
        raise ValueError(
            f'the layer {index} ({names}) is neither linear nor BatchNorm'
        )
    return nn.Linear(weight.shape[1], weight.shape[0], bias='bias' in weights)


def sequential_neck(weights: State) -> State:
    """Number the layers of a neck of mmpretrain as in a ``Sequential``.

    For LinearNeck (fc-norm), NonLinearNeck (fc-bn-relu repeated), MoCoV2Neck
    and SwAVNeck (fc-bn-relu-fc).

    Args:
        weights (dict[str, Tensor]): State of the neck.

    Returns:
        dict[str, Tensor]: Names for
        :class:`~pauc_mm.checkpoints.projection_head.ProjectionHead`; those
        that are unknown are left as they are.
    """
    swav = any(key.startswith('projection_neck.') for key in weights)
    result = {}
    for key, value in weights.items():
        if swav and key.startswith('norm.'):
            continue  # the same layer as projection_neck.1
        name, _, parameter = key.rpartition('.')
        repeated = re.fullmatch(r'(fc|bn)(\d+)', name)
        inner = re.fullmatch(r'(?:mlp|projection_neck)\.(\d+)', name)
        if repeated:
            name = str(3 * int(repeated[2]) + (repeated[1] == 'bn'))
        elif inner:
            name = inner[1]
        elif name in ('fc', 'projection_neck', 'norm'):
            name = str(int(name == 'norm'))
        result[f'{name}.{parameter}'] = value
    return result
