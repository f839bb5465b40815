# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Convert checkpoints of other projects to mmpretrain's names, and back."""

from .conversion import Conversion
from .extract_backbone import extract_backbone
from .to_mmpretrain import to_mmpretrain
from .to_torchvision import to_torchvision

__all__ = ['Conversion', 'extract_backbone', 'to_mmpretrain', 'to_torchvision']
