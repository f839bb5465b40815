# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Projection heads without a config."""

import re
from collections.abc import Sequence

from torch import Tensor, nn

from pauc_mm.models.embed import pooled

from .file import State
from .weights import compare, shapes


class PartialHeadError(ValueError):
    """Weights of a projection head of which some are missing."""


class ProjectionHead(nn.Module):
    """Projection head, rebuilt from the names and shapes of its weights.

    For heads that are one linear layer, or a ``Sequential`` of linear layers,
    BatchNorm and activations. Layers without weights are not in a checkpoint:
    a gap in the numbering is taken for the ``activation``, a class in
    torch.nn. ``weights`` is the state of the head: 'weight' and 'bias', or
    '0.weight', '0.bias', '2.weight' and so on.

    Raises:
        PartialHeadError: If the weights are those of some of its layers.
        ValueError: If they are not such a head.
    """

    def __init__(self, weights: State, activation: str = 'ReLU') -> None:
        super().__init__()
        kind = getattr(nn, activation)
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
            elif not modules or isinstance(modules[-1], nn.Identity):
                raise PartialHeadError(f'the layer {index} has no weights')
            else:  # of two such layers in a row one is dropout or the like
                known = isinstance(modules[-1], kind)
                modules.append(nn.Identity() if known else kind())
        self.layers = nn.Sequential(*modules)
        linear = [m for m in modules if isinstance(m, nn.Linear)]
        for one, other in zip(linear, linear[1:]):
            if one.out_features != other.in_features:
                raise PartialHeadError(
                    f'a layer of {one.out_features} outputs is followed by '
                    f'one of {other.in_features} inputs'
                )
        if not linear:
            raise ValueError('it has no linear layer')
        self.in_features = linear[0].in_features
        self.out_features = linear[-1].out_features
        single = 'weight' in weights
        state = {f'0.{k}' if single else k: v for k, v in weights.items()}
        fit = compare(shapes(self.layers), shapes(state))
        if str(fit):
            raise PartialHeadError(str(fit))
        self.layers.load_state_dict(state, strict=False)

    def forward(self, maps: Tensor | Sequence[Tensor]) -> tuple[Tensor]:
        """Project the last map to a tuple of (N, D), as mmpretrain's necks."""
        return (self.layers(pooled(maps)),)


def _layer(index: int, weights: State) -> nn.Module:
    if (mean := weights.get('running_mean')) is not None:
        return nn.BatchNorm1d(len(mean), affine='weight' in weights)
    weight = weights.get('weight')
    if weight is None:
        raise PartialHeadError(f'the layer {index} has no weight')
    if weight.dim() != 2:
        names = ', '.join(f'{k} {tuple(v.shape)}' for k, v in weights.items())
        raise ValueError(
            f'the layer {index} ({names}) is neither linear nor BatchNorm'
        )
    return nn.Linear(weight.shape[1], weight.shape[0], bias='bias' in weights)


def sequential_neck(weights: State) -> State:
    """Number the layers of a neck of mmpretrain as in a ``Sequential``.

    For LinearNeck (fc-norm), NonLinearNeck (fc-bn-relu repeated), MoCoV2Neck
    and SwAVNeck (fc-bn-relu-fc). Unknown names are left as they are.
    """
    swav = any(key.startswith('projection_neck.') for key in weights)
    result = {}
    for key, value in weights.items():
        if swav and key.startswith('norm.'):
            continue  # the same layer as projection_neck.1
        name, _, parameter = key.rpartition('.')
        if match := re.fullmatch(r'(fc|bn)(\d+)', name):
            name = str(3 * int(match[2]) + (match[1] == 'bn'))
        elif match := re.fullmatch(r'(?:mlp|projection_neck)\.(\d+)', name):
            name = match[1]
        elif name in ('fc', 'projection_neck', 'norm'):
            name = str(int(name == 'norm'))
        result[f'{name}.{parameter}'] = value
    return result
