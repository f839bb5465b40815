# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Compare the tensors of a checkpoint with those of a network, and load them.

A frozen encoder takes all of its tensors or none, :func:`load_all`. A network
that is trained further may begin with :data:`MIN_MATCHED` of them
(BackboneCheckHook, CheckpointGuardHook).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from pauc_mm.utils.checks import listed

MIN_MATCHED = 0.9
"""Least share of a network's tensors that a checkpoint must have."""

# mmpretrain interpolates these for images of another size.
_RESIZED = ('pos_embed', 'relative_position_bias_table')

Shapes = dict[str, tuple[int, ...]]


@dataclass
class Fit:
    """Names in a network and in a checkpoint, compared."""

    matched: list[str]  # in both, with the same shape
    missing: list[str]  # only in the network
    changed: list[str]  # in both with different shapes, which are added
    unknown: list[str]  # only in the checkpoint

    @property
    def total(self) -> int:
        """Number of tensors of the network."""
        return len(self.matched) + len(self.missing) + len(self.changed)

    def __str__(self) -> str:
        kinds = ('missing', 'of another shape', 'unknown')
        groups = (self.missing, self.changed, self.unknown)
        return '; '.join(
            f'{len(keys)} {kind}: {listed(keys, 3)}'
            for kind, keys in zip(kinds, groups)
            if keys
        )


def shapes(
    source: nn.Module | Mapping[str, Tensor], counters: bool = False
) -> Shapes:
    """Return the shape of each tensor of a module or a state dict by name.

    BatchNorm's counters, which old checkpoints and some converters leave out,
    are left out unless ``counters`` is set.
    """
    state = source.state_dict() if isinstance(source, nn.Module) else source
    return {
        key: tuple(value.shape)
        for key, value in state.items()
        if isinstance(value, Tensor)
        and (counters or not key.endswith('num_batches_tracked'))
    }


def compare(own: Shapes, saved: Shapes) -> Fit:
    """Compare the shapes of a network with those of a checkpoint."""
    both = [key for key in own if key in saved]
    changed = [
        key
        for key in both
        if own[key] != saved[key] and not key.endswith(_RESIZED)
    ]
    return Fit(
        matched=[k for k in both if own[k] == saved[k]],
        missing=[k for k in own if k not in saved],
        changed=[f'{k} ({saved[k]}, not {own[k]})' for k in changed],
        unknown=[k for k in saved if k not in own],
    )


def load_all(
    module: nn.Module, weights: Mapping[str, Tensor], what: str
) -> None:
    """Load weights into a module, every one of them or none.

    Raises:
        ValueError: If a tensor is missing, unknown or of another shape;
            ``what`` names the weights.
    """
    fit = compare(shapes(module), shapes(weights))
    if str(fit):
        raise ValueError(
            f'The {what} do not fit {type(module).__name__}, and all of its '
            f'{fit.total} tensors must be there, for others would be random: '
            f'{fit}. If it is another network, name the config that builds '
            'it with --config.'
        )
    module.load_state_dict(weights, strict=False)


def check_finite(tensors: Mapping[str, Tensor], path: str) -> None:
    """Refuse tensors with NaN or infinite values.

    Raises:
        ValueError: If there are any; names them and the file ``path``.
    """
    if bad := not_finite(tensors):
        raise ValueError(
            f"'{path}' has NaN or infinite values in {len(bad)} of "
            f'{len(tensors)} tensors, first {listed(bad, 3)}: the training '
            'has diverged. Take an earlier checkpoint.'
        )


def select(
    weights: Mapping[str, Tensor], *prefixes: str | None
) -> dict[str, Tensor]:
    """Return the weights below prefixes, without the prefixes."""
    return {
        key[len(prefix) :]: value
        for prefix in prefixes
        if prefix is not None
        for key, value in weights.items()
        if key.startswith(prefix)
    }


def renamed(
    weights: Mapping[str, Tensor], names: Iterable[tuple[str, str]]
) -> dict[str, Tensor]:
    """Replace each pattern, a regular expression, in all names."""
    result = {}
    for key, value in weights.items():
        for pattern, name in names:
            key = re.sub(pattern, name, key)
        result[key] = value
    return result


def not_finite(tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the names of tensors with NaN or infinite values."""
    return [k for k, v in tensors.items() if not torch.isfinite(v).all()]


def read_weights(
    checkpoint: str, prefix: str | None = None
) -> dict[str, Tensor]:
    """Read weights by name as mmengine's ``init_cfg`` does, onto the CPU.

    From a file, or an address that mmengine knows; only those with a
    ``prefix``, if there is one, which is cut off.

    Raises:
        FileNotFoundError: If there is no such file.
        RuntimeError: If it has no tensors, or none with the prefix.
    """
    state = CheckpointLoader.load_checkpoint(
        checkpoint, map_location='cpu', logger='silent'
    )
    if isinstance(state, Mapping):
        state = state.get('state_dict', state)
    items = state.items() if isinstance(state, Mapping) else ()
    weights = {k: v for k, v in items if isinstance(v, Tensor)}
    if not weights:
        raise RuntimeError(
            f"'{checkpoint}' holds no tensors by name, neither in 'state_dict'"
            ' nor at the top: it is no checkpoint of a model.'
        )
    if prefix is None:  # as mmengine, which strips this one alone
        return {re.sub(r'^module\.', '', k): v for k, v in weights.items()}
    prefix = prefix if prefix.endswith('.') else f'{prefix}.'
    part = select(weights, prefix)
    if not part:
        raise RuntimeError(
            f"'{checkpoint}' has no weights that begin with '{prefix}': its "
            f'{len(weights)} names are {listed(weights)}. If it is a backbone '
            'alone, leave the prefix out; if it is of another library, '
            'convert it with a script of tools/converters.'
        )
    return part


def _frozen(part: nn.Module) -> Iterator[str]:
    """Iterate over the names of the tensors of layers that do not learn."""
    for name, layer in part.named_modules():
        learning = [p.requires_grad for p in layer.parameters(recurse=False)]
        if learning and not any(learning):
            yield from dict(layer.named_parameters(name, recurse=False))
            yield from dict(layer.named_buffers(name, recurse=False))


def matching_names(
    parts: Mapping[str, nn.Module],
    weights: Mapping[str, Tensor],
    checkpoint: str,
    min_matched: float = MIN_MATCHED,
) -> dict[str, list[str]]:
    """Find the names by part that parts of a model share with a checkpoint.

    The parts, by their names in the model, will be loaded from it. They are
    counted together: a C4 detector has one stage of its backbone in the head.
    Of their tensors ``min_matched`` must be there with the same shape, of
    frozen layers all. ``checkpoint`` names the source in the message.

    Raises:
        RuntimeError: If they are fewer; the message shows both sides' names.
        ValueError: If weights are not finite.
    """
    saved = shapes(weights)
    fits = {n: compare(shapes(part), saved) for n, part in parts.items()}
    together = Fit(
        matched=[k for fit in fits.values() for k in fit.matched],
        missing=[f'{n}.{k}' for n, fit in fits.items() for k in fit.missing],
        changed=[f'{n}.{k}' for n, fit in fits.items() for k in fit.changed],
        unknown=[
            k for k in saved if all(k in fit.unknown for fit in fits.values())
        ],
    )
    absent = {k.split(' ')[0] for k in together.missing + together.changed}
    frozen = absent & {
        f'{n}.{k}' for n, part in parts.items() for k in _frozen(part)
    }
    min_matched = 1.0 if frozen else min_matched
    if len(together.matched) < min_matched * together.total:
        raise RuntimeError(
            f'Only {len(together.matched)} of the {together.total} tensors of '
            f"{' and '.join(parts)} are in '{checkpoint}', fewer than "
            f'{min_matched:.0%}: {together}. Use the architecture that was '
            'pretrained, name the right prefix, or convert the checkpoint '
            'with a script of tools/converters.'
        )
    check_finite({k: weights[k] for k in together.matched}, checkpoint)
    return {name: fit.matched for name, fit in fits.items()}
