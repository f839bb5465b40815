# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Random transforms of a view: one image on a CPU, or a batch on a device.

Both draw alike, from the distributions of torchvision and mmpretrain. Images
are BGR and 8 bits on the CPU, as ``LoadImageFromFile`` gives them. Batches
are RGB and float, so that nothing is rounded between two transforms.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from mmcv.transforms import BaseTransform
from mmpretrain.datasets.transforms import RandomResizedCrop
from mmpretrain.registry import TRANSFORMS
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as vision

from pauc_mm.utils.checks import check_choice


@TRANSFORMS.register_module()
class ViewResizedCrop(RandomResizedCrop):
    """mmpretrain's RandomResizedCrop with torch's resize of 8-bit images.

    It differs from Pillow's by a level of 255 at most and takes a third of
    the time. The arguments are those of ``RandomResizedCrop``;
    ``interpolation`` may be 'bilinear' or 'bicubic'.
    """

    is_last = False  # whether PackInputs follows, which wants planes

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        key = 'ViewResizedCrop.interpolation'
        check_choice(key, self.interpolation, ('bilinear', 'bicubic'))

    def transform(self, results: dict) -> dict:
        """Crop and resize ``results['img']``."""
        image = _check_image(self, results['img'])
        top, left, height, width = self.rand_crop_params(image)
        crop = image[top : top + height, left : left + width]
        resized = vision.resize_image(
            # In one piece, or torch gives the channels one after another.
            torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1),
            list(self.scale),
            InterpolationMode(self.interpolation),
            antialias=True,
        )
        image = resized.permute(1, 2, 0).numpy()
        if self.is_last:
            planes = np.empty((3, *image.shape[:2]), np.uint8)
            cv2.split(image, list(planes))
            image = planes.transpose(1, 2, 0)
        results['img'], results['img_shape'] = image, image.shape
        return results


class ViewTransform(BaseTransform):
    """Base of transforms that happen with a probability.

    Args:
        prob (float): The probability.

    Raises:
        ValueError: If an argument is out of range.
    """

    num_draws = 0  # uniform numbers that the parameters of an image take

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = self._number('prob', prob, 1)

    def transform(self, results: dict) -> dict:
        """Transform ``results['img']``, (H, W, 3), uint8, BGR, or do not."""
        image = _check_image(self, results['img'])
        draws = np.random.rand(1, 1 + self.num_draws)
        if draws[0, 0] < self.prob:
            (row,) = self.parameters(draws[:, 1:])
            results['img'] = self._on_image(image, row)
        return results

    def parameters(self, draws: np.ndarray) -> np.ndarray:
        """Map uniform draws (N, num_draws) to parameters, a row an image."""
        return draws

    def _on_image(self, image: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Transform an image (H, W, 3), uint8, by its row."""
        raise NotImplementedError

    def _on_batch(self, images: Tensor, rows: np.ndarray) -> Tensor:
        """Transform images (N, 3, H, W), RGB in [0, 1], each by its row."""
        raise NotImplementedError

    def _number(self, name: str, value: Any, most: float) -> float:
        if not isinstance(value, (int, float)) or not 0 <= value <= most:
            raise ValueError(
                f'{type(self).__name__}.{name} must be a number from 0 to '
                f'{most}, got {value!r}.'
            )
        return value

    def __repr__(self) -> str:
        return f'{type(self).__name__}({vars(self)})'


@TRANSFORMS.register_module()
class ViewColorJitter(ViewTransform):
    """torchvision's ColorJitter: four adjustments in a random order.

    Args:
        brightness (float): How far the factor may be from 1, up to 1.
        contrast (float): Likewise.
        saturation (float): Likewise.
        hue (float): How far colours may move around their circle, in turns,
            up to 0.5.
        prob (float): See :class:`ViewTransform`.
    """

    num_draws = 8  # four factors, and four keys that sort the steps

    def __init__(
        self,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
        prob: float = 1.0,
    ) -> None:
        super().__init__(prob)
        self.strengths = [
            self._number('brightness', brightness, 1),
            self._number('contrast', contrast, 1),
            self._number('saturation', saturation, 1),
            self._number('hue', hue, 0.5),
        ]

    def parameters(self, draws: np.ndarray) -> np.ndarray:
        """Return the four factors, 0 for the hue as it is, and the order."""
        factors = _NEUTRAL + self.strengths * (2 * draws[:, :4] - 1)
        return np.hstack([factors, draws[:, 4:].argsort(axis=1)])

    def _on_image(self, image: np.ndarray, row: np.ndarray) -> np.ndarray:
        for step in row[4:].astype(int):
            if row[step] != _NEUTRAL[step]:
                image = _ADJUST_IMAGE[step](image, row[step])
        return image

    def _on_batch(self, images: Tensor, rows: np.ndarray) -> Tensor:
        images = images.clone()
        for turn in range(4, 8):
            for step, adjust in enumerate(_ADJUST_BATCH):
                chosen = np.flatnonzero(rows[:, turn] == step)
                factors = rows[chosen, step]
                if (factors != _NEUTRAL[step]).any():
                    index = _on(images.device, chosen)
                    factor = _column(images, factors)
                    images[index] = adjust(images[index], factor)
        return images


@TRANSFORMS.register_module()
class ViewGrayscale(ViewTransform):
    """Grey with three equal channels, as torchvision's RandomGrayscale."""

    def _on_image(self, image: np.ndarray, row: np.ndarray) -> np.ndarray:
        return cv2.cvtColor(_grey_image(image), cv2.COLOR_GRAY2BGR)

    def _on_batch(self, images: Tensor, rows: np.ndarray) -> Tensor:
        return _grey(images).expand_as(images)


@TRANSFORMS.register_module()
class ViewGaussianBlur(ViewTransform):
    """Gaussian blur, cut off at three standard deviations.

    Pillow's, in mmpretrain's GaussianBlur, is an approximation by boxes.

    Args:
        sigma (Sequence[float]): Least and greatest standard deviation, up to
            10 pixels.
        prob (float): See :class:`ViewTransform`.
    """

    num_draws = 1

    def __init__(
        self, sigma: Sequence[float] = (0.1, 2.0), prob: float = 0.5
    ) -> None:
        super().__init__(prob)
        if np.shape(sigma) != (2,) or not 0 < sigma[0] <= sigma[1] <= 10:
            raise ValueError(
                'ViewGaussianBlur.sigma must be the least and the greatest '
                f'standard deviation, up to 10 pixels, got {sigma!r}.'
            )
        self.sigma = sigma

    def parameters(self, draws: np.ndarray) -> np.ndarray:
        """Return the standard deviations, (N, 1)."""
        low, high = self.sigma
        return low + (high - low) * draws

    def _on_image(self, image: np.ndarray, row: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(image, (0, 0), row[0])

    def _on_batch(self, images: Tensor, rows: np.ndarray) -> Tensor:
        count, channels, height, width = images.shape
        radius = math.ceil(3 * self.sigma[1])
        steps = torch.arange(-radius, radius + 1, device=images.device)
        kernel = (-0.5 * (steps / _column(images, rows)) ** 2).exp()
        kernel = kernel / kernel.sum(-1, keepdim=True)  # (N, 1, 1, steps)
        kernel = kernel.expand(-1, channels, 1, -1).flatten(0, 1)[:, None]
        flat = images.reshape(1, -1, height, width)
        flat = F.pad(flat, (radius,) * 4, mode='reflect')
        flat = F.conv2d(flat, kernel, groups=len(kernel))
        flat = F.conv2d(flat, kernel.mT, groups=len(kernel))
        return flat.view_as(images)


@TRANSFORMS.register_module()
class ViewSolarize(ViewTransform):
    """Inversion of all values from a threshold on.

    Args:
        threshold (float): In levels of 255.
        prob (float): See :class:`ViewTransform`.
    """

    def __init__(self, threshold: float = 128, prob: float = 0.5) -> None:
        super().__init__(prob)
        self.threshold = self._number('threshold', threshold, 255)

    def _on_image(self, image: np.ndarray, row: np.ndarray) -> np.ndarray:
        return np.where(image < self.threshold, image, 255 - image)

    def _on_batch(self, images: Tensor, rows: np.ndarray) -> Tensor:
        return torch.where(images < self.threshold / 255, images, 1 - images)


@TRANSFORMS.register_module()
class ViewFlip(ViewTransform):
    """Horizontal flip."""

    def _on_image(self, image: np.ndarray, row: np.ndarray) -> np.ndarray:
        return cv2.flip(image, 1)

    def _on_batch(self, images: Tensor, rows: np.ndarray) -> Tensor:
        return images.flip(-1)


def apply_to_batch(
    transforms: Sequence[ViewTransform],
    images: Tensor,
    draw: Callable[[int], np.ndarray],
) -> Tensor:
    """Apply transforms in turn to the images that the draws choose.

    The CPU knows which these are, so nothing waits for the device.

    Args:
        transforms (Sequence[ViewTransform]): In their order.
        images (Tensor): Shape (N, 3, H, W), RGB in [0, 1]; changed in place.
        draw (Callable): Gives M uniform numbers in [0, 1) for each image,
            (N, M).

    Returns:
        Tensor: The images.
    """
    draws = draw(sum(1 + transform.num_draws for transform in transforms))
    for transform in transforms:
        own, draws = np.split(draws, [1 + transform.num_draws], axis=1)
        chosen = np.flatnonzero(own[:, 0] < transform.prob)
        if len(chosen):
            rows = transform.parameters(own[chosen, 1:])
            index = _on(images.device, chosen)
            images[index] = transform._on_batch(images[index], rows)
    return images


def _check_image(transform: BaseTransform, image: np.ndarray) -> np.ndarray:
    if image.dtype != np.uint8 or image.shape[2:] != (3,):
        raise ValueError(
            f'{type(transform).__name__} takes images of three channels of 8 '
            f'bits, got {image.dtype} of shape {image.shape}: load them with '
            "color_type='color' and without to_float32."
        )
    return image


def _on(device: torch.device, values: np.ndarray) -> Tensor:
    return torch.from_numpy(values).to(device, non_blocking=True)


def _column(images: Tensor, values: np.ndarray) -> Tensor:
    column = values.reshape(-1, 1, 1, 1).astype(np.float32)
    return _on(images.device, column)


def _grey_image(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def _change_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    mean = cv2.mean(_grey_image(image))[0]
    return cv2.addWeighted(image, factor, image, 0, (1 - factor) * mean)


def _change_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    grey = cv2.cvtColor(_grey_image(image), cv2.COLOR_GRAY2BGR)
    return cv2.addWeighted(image, factor, grey, 1 - factor, 0)


def _shift_hue(image: np.ndarray, turns: float) -> np.ndarray:
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV_FULL)
    hsv[..., 0] += np.uint8(round(turns * 256) % 256)  # a byte is a turn
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR_FULL)


# In torchvision's order: brightness, contrast, saturation, hue.
_NEUTRAL = np.array([1, 1, 1, 0])
_ADJUST_IMAGE: list[Callable] = [
    lambda image, factor: cv2.addWeighted(image, factor, image, 0, 0),
    _change_contrast,
    _change_saturation,
    _shift_hue,
]


def _grey(images: Tensor) -> Tensor:
    red, green, blue = images.split(1, dim=1)
    return 0.2989 * red + 0.587 * green + 0.114 * blue


def _blend(images: Tensor, others: Tensor | float, factor: Tensor) -> Tensor:
    return (factor * images + (1 - factor) * others).clamp_(0, 1)


def _shift_hues(images: Tensor, turns: Tensor) -> Tensor:
    red, green, blue = images.split(1, dim=1)
    high = images.amax(1, keepdim=True)
    chroma = high - images.amin(1, keepdim=True)
    # Hue in sixths of a turn: where the greatest channel stands, and how far
    # the next one draws it away. Grey has none, and chroma 0 below.
    part = chroma.clamp_min(1e-12)
    hue = torch.where(
        high == red,
        (green - blue) / part,
        torch.where(
            high == green, 2 + (blue - red) / part, 4 + (red - green) / part
        ),
    )
    corner = 5 - 2 * torch.arange(3, device=images.device).view(1, 3, 1, 1)
    k = (corner + hue + 6 * turns) % 6
    return high - chroma * torch.minimum(k, 4 - k).clamp_(0, 1)


_ADJUST_BATCH: list[Callable] = [
    lambda images, factor: _blend(images, 0.0, factor),
    lambda images, factor: _blend(
        images, _grey(images).mean((1, 2, 3), keepdim=True), factor
    ),
    lambda images, factor: _blend(images, _grey(images), factor),
    _shift_hues,
]
