# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What fine-tuning detectors needs beyond ``import pauc_mm``.

Importing this imports mmdet, with mmcv's compiled operations or without. The
configs in configs/benchmarks/detection name it in their ``custom_imports``.
"""

from ._mmdet import import_mmdet
from .annotation_check import check_annotations
from .precise_bn_hook import DetectorPreciseBNHook

import_mmdet()

__all__ = [
    'DetectorPreciseBNHook',
    'check_annotations',
]
