# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Whether two networks compute the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

TOLERANCE = 1e-5
NUM_IMAGES = 2
# Odd, so that a stride or a padding in another place changes every map.
IMAGE_SIZE = 75
SEED = 0


@dataclass(frozen=True)
class Agreement:
    """The outputs of two networks, compared.

    Attributes:
        difference (float): Largest absolute difference.
        relative (float): Largest difference in a map over the largest value
            in this map.
        maps (int): How many maps were compared, beside their means.
        size (int): Side of the square images.
    """

    difference: float
    relative: float
    maps: int
    size: int

    def __str__(self) -> str:
        return (
            f'outputs agree: largest difference {self.difference:.1e}, '
            f'{self.relative:.1e} of the largest value of its map (allowed '
            f'{TOLERANCE:.0e}), over {self.maps} maps and their means, of '
            f'{NUM_IMAGES} random images of {self.size}x{self.size} pixels'
        )


def load_all(
    module: nn.Module, weights: dict[str, torch.Tensor], what: str
) -> None:
    """Load weights into a module, every one of them.

    Counters of BatchNorm, which old checkpoints lack, may be missing.

    Args:
        module (nn.Module): Loaded in place.
        weights (dict[str, Tensor]): Its state.
        what (str): What they are, for messages.

    Raises:
        ValueError: A tensor is missing, unknown, of another shape, or has
            NaN or infinite values.
    """
    own = {k: v.shape for k, v in module.state_dict().items()}
    problems = {
        'missing': [
            k
            for k in own
            if k not in weights and not k.endswith('num_batches_tracked')
        ],
        'unknown': [k for k in weights if k not in own],
        'of another shape': [
            f'{k} {tuple(v.shape)}, not {tuple(own[k])}'
            for k, v in weights.items()
            if k in own and v.shape != own[k]
        ],
        'NaN or infinite': [
            k for k, v in weights.items() if not torch.isfinite(v).all()
        ],
    }
    told = '; '.join(
        f'{len(keys)} {name}: {", ".join(keys[:4])}'
        + (', ...' if len(keys) > 4 else '')
        for name, keys in problems.items()
        if keys
    )
    if told:
        raise ValueError(
            f'The {what} do not fit {type(module).__name__}, and a converted '
            f'file must have all of its {len(own)} tensors: {told}.'
        )
    module.load_state_dict(weights, strict=False)


Forward = Callable[[torch.Tensor], Sequence[torch.Tensor]]


@torch.no_grad()
def compare_outputs(
    reference: Forward,
    converted: Forward,
    channels: int = 3,
    size: int = IMAGE_SIZE,
) -> Agreement:
    """Compare maps, and their means over the pixels, on random images.

    Args:
        reference (callable): From images (N, C, H, W) to maps, in eval mode.
        converted (callable): The same of the network as it is converted.
        channels (int): Of the images. Defaults to 3.
        size (int): Their side. Defaults to 75.

    Returns:
        Agreement: Within :data:`TOLERANCE`.

    Raises:
        RuntimeError: Outputs differ by more, in number or shape, are not
            finite, or are all zero, so that nothing can be compared.
    """
    generator = torch.Generator().manual_seed(SEED)
    shape = (NUM_IMAGES, channels, size, size)
    images = torch.randn(shape, generator=generator)
    before, after = _maps(reference, images), _maps(converted, images)
    if len(before) != len(after):
        raise RuntimeError(
            f'The converted network gives {len(after)} maps and the one that '
            f'was read {len(before)}: nothing was written.'
        )
    difference = relative = 0.0
    for i, (old, new) in enumerate(zip(before, after), 1):
        if old.shape != new.shape:
            raise RuntimeError(
                f'Map {i} of the converted network has shape '
                f'{tuple(new.shape)}, not {tuple(old.shape)}: nothing was '
                'written.'
            )
        for a, b in ((old, new), (_mean(old), _mean(new))):
            scale, gap = float(a.abs().max()), float((a - b).abs().max())
            if not 0 < scale < float('inf'):
                raise RuntimeError(
                    f'The largest value of map {i} of random images is '
                    f'{scale}: the network that was read is dead or has '
                    'overflowed, and a conversion cannot be checked. '
                    'Nothing was written.'
                )
            # Written so that a NaN does not pass.
            if not gap <= TOLERANCE * scale:
                raise RuntimeError(
                    f'The converted network computes something else: map {i} '
                    f'of random images differs by {gap:.3g}, with values up '
                    f'to {scale:.3g}, and {TOLERANCE:.0e} of these is '
                    'allowed. Nothing was written.'
                )
            difference = max(difference, gap)
            relative = max(relative, gap / scale)
    return Agreement(difference, relative, len(before), size)


def _maps(net: Forward, images: torch.Tensor) -> list[torch.Tensor]:
    maps = net(images)
    if isinstance(maps, torch.Tensor):
        maps = [maps]
    return [single.float() for single in maps]


def _mean(maps: torch.Tensor) -> torch.Tensor:
    return maps.flatten(2).mean(2) if maps.dim() > 2 else maps
