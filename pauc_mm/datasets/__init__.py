# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Datasets, registered in mmpretrain's DATASETS."""

from . import view_transforms
from .dataset_views import subset
from .fashion_mnist import IdxFashionMNIST
from .image_folder import ImageFolder
from .image_scan import check_image, list_images, scan_images
from .imagenet100 import IMAGENET100_CLASSES, ImageNet100
from .load_as_8_bit import LoadImageAs8Bit
from .packaged_images import MlxtendMNIST, SklearnDigits

__all__ = [
    'IMAGENET100_CLASSES',
    'IdxFashionMNIST',
    'ImageFolder',
    'ImageNet100',
    'LoadImageAs8Bit',
    'MlxtendMNIST',
    'SklearnDigits',
    'check_image',
    'list_images',
    'scan_images',
    'subset',
    'view_transforms',
]
