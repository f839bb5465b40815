# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Check that two networks compute the same."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

TOLERANCE = 1e-5
NUM_IMAGES = 2
# Odd, so that a stride or a padding in another place changes every map.
IMAGE_SIZE = 75
SEED = 0


@dataclass(frozen=True)
class Agreement:
    """Differences between the outputs of two networks."""

    difference: float  # largest absolute one
    relative: float  # largest in a map over the largest value in this map
    maps: int  # number; they were compared beside their means
    size: int  # side of the square images, in pixels
    tolerance: float = TOLERANCE

    def __str__(self) -> str:
        return (
            'outputs agree, if the source is as stated: largest difference '
            f'{self.difference:.1e}, {self.relative:.1e} of the largest value '
            f'of its map (allowed {self.tolerance:.0e}), over {self.maps} '
            f'maps and their means, of {NUM_IMAGES} random images of '
            f'{self.size}x{self.size} pixels'
        )


Forward = Callable[[torch.Tensor], torch.Tensor | Sequence[torch.Tensor]]


@torch.no_grad()
def compare_outputs(
    reference: Forward,
    converted: Forward,
    channels: int,
    size: int,
    tolerance: float = TOLERANCE,
) -> Agreement:
    """Compare maps, and their means over the pixels, on random images.

    Both networks are in eval mode and take images (N, C, H, W).

    Raises:
        RuntimeError: If outputs differ by more than ``tolerance``, in
            number or shape, are not finite, or are all zero, so that nothing
            can be compared.
    """
    generator = torch.Generator().manual_seed(SEED)
    shape = (NUM_IMAGES, channels, size, size)
    images = torch.randn(shape, generator=generator)
    before, after = _maps(reference, images), _maps(converted, images)
    shapes = [[tuple(m.shape) for m in maps] for maps in (before, after)]
    if shapes[0] != shapes[1]:
        raise RuntimeError(
            f'The converted network gives maps of shapes {shapes[1]}, and the '
            f'one that was read {shapes[0]}: nothing was written.'
        )
    difference = relative = 0.0
    for i, (old, new) in enumerate(zip(before, after), 1):
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
            if not gap <= tolerance * scale:
                raise RuntimeError(
                    f'The converted network computes something else: map {i} '
                    f'of random images differs by {gap:.3g}, with values up '
                    f'to {scale:.3g}, and {tolerance:.0e} of these is '
                    'allowed. Nothing was written.'
                )
            difference = max(difference, gap)
            relative = max(relative, gap / scale)
    return Agreement(difference, relative, len(before), size, tolerance)


def _maps(net: Forward, images: torch.Tensor) -> list[torch.Tensor]:
    maps = net(images)
    maps = [maps] if isinstance(maps, torch.Tensor) else maps
    return [single.float() for single in maps]


def _mean(maps: torch.Tensor) -> torch.Tensor:
    return maps.flatten(2).mean(2) if maps.dim() > 2 else maps
