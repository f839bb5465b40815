# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import io
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine import fileio
from mmpretrain.registry import TRANSFORMS
from PIL import Image, ImageOps

from pauc_mm.utils.checks import check_integer

from .image_scan import DEPTH, TRANSPARENCY


@TRANSFORMS.register_module()
class LoadImageAs8Bit(LoadImageFromFile):
    """Load an image file of any depth, transparent or not, as 8 bits.

    ``LoadImageFromFile`` takes the upper 8 of 16 bits, whatever number of
    them is used, and the colour that the file has below its transparency.

    Args:
        bits (int, optional): Bits that are used of each channel, 8 to 16, of
            images with 16; None leaves them to ``LoadImageFromFile``. Images
            with 8 are read as they are.
        background (Sequence[int], optional): Red, green and blue, 0 to 255,
            to be seen through transparent pixels of images with 8 bits.
        **kwargs: Of mmcv's ``LoadImageFromFile``.

    Raises:
        ValueError: If an option is out of range or, when an image is read,
            a pixel needs more bits.
    """

    def __init__(
        self,
        bits: int | None = None,
        background: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if bits is not None:
            check_integer('LoadImageAs8Bit.bits', bits, 8)
            if bits > 16:
                raise ValueError(
                    f'LoadImageAs8Bit.bits must be 8 to 16, got {bits}.'
                )
        if background is not None:
            levels = [str(level).strip() for level in background]
            if len(levels) != 3 or any(
                not level.isdecimal() or int(level) > 255 for level in levels
            ):
                raise ValueError(
                    'LoadImageAs8Bit.background must be red, green and blue '
                    f'of 0 to 255, got {background!r}.'
                )
            background = tuple(map(int, levels))
        self.bits, self.background = bits, background

    @property
    def kept(self) -> set[str]:
        """What the scan of a folder need not call lost."""
        kept = {DEPTH: self.bits, TRANSPARENCY: self.background}
        return {part for part, option in kept.items() if option is not None}

    def transform(self, results: dict) -> dict | None:
        """Load the image; see mmcv's ``LoadImageFromFile``."""
        path = results['img_path']
        content = fileio.get(path, backend_args=self.backend_args)
        image = self._scaled(content, path)
        if image is None:
            image = self._on_background(content)
        if image is None:
            return super().transform(results)
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _scaled(self, content: bytes, path: str) -> np.ndarray | None:
        """Decode an image with 16 bits a channel; None if it has 8."""
        if self.bits is None:
            return None
        colour = int(self.color_type != 'grayscale')  # cv2.IMREAD_COLOR is 1
        data = np.frombuffer(content, np.uint8)
        image = cv2.imdecode(data, colour | cv2.IMREAD_ANYDEPTH)
        if image is None or image.dtype == np.uint8:
            return None
        if image.dtype != np.uint16 or image.max() >> self.bits:
            raise ValueError(
                f'{path} has pixels of {image.dtype} up to {image.max()}, '
                f'which LoadImageAs8Bit.bits={self.bits} does not hold '
                '(IMAGE_BITS for pauc_r18_folder.py).'
            )
        return (image >> (self.bits - 8)).astype(np.uint8)

    def _on_background(self, content: bytes) -> np.ndarray | None:
        """Decode a transparent image; None if it is none."""
        if self.background is None:
            return None
        with Image.open(io.BytesIO(content)) as image:
            if not image.has_transparency_data:
                return None
            image = ImageOps.exif_transpose(image).convert('RGBA')
        ground = Image.new('RGBA', image.size, (*self.background, 255))
        flat = Image.alpha_composite(ground, image).convert('RGB')
        if self.color_type == 'grayscale':
            return np.array(flat.convert('L'))
        return np.array(flat)[..., ::-1].copy()
