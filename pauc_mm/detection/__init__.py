# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Fine-tuning of detectors: needs mmdet, and mmcv with or without its ops.

Importing this imports mmdet's models. The configs in
configs/benchmarks/detection name it in their ``custom_imports``.
"""

import importlib
import warnings
from importlib.util import find_spec

from pauc_mm._requirements import install_argument

from .torchvision_ops import install_ops

if find_spec('mmdet') is None:
    raise ImportError(
        'Detection and segmentation need mmdet, which is not installed: '
        f'pip install {install_argument("mmdet")} (in a checkout: bash '
        'tools/setup_env.sh detection). It needs no compiler.',
        name='mmdet',
    )
install_ops()
with warnings.catch_warnings():
    warnings.simplefilter('ignore', DeprecationWarning)
    importlib.import_module('mmdet.models')
# mmpretrain defines ResLayerExtraNorm if mmdet can be imported when mmpretrain
# is, which was before mmcv had operations.
_extra_norm = importlib.import_module(
    'mmpretrain.models.utils.res_layer_extra_norm'
)
if _extra_norm.ResLayerExtraNorm is None:
    importlib.reload(_extra_norm)

from .annotation_check import check_annotations  # noqa: E402
from .precise_bn_hook import DetectorPreciseBNHook  # noqa: E402

__all__ = ['DetectorPreciseBNHook', 'check_annotations']
