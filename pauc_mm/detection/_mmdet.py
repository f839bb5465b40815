# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import importlib
import warnings
from importlib.util import find_spec

from pauc_mm._requirements import MMDET

from .torchvision_ops import install_ops


def import_mmdet() -> None:
    """Imports mmdet's models, and registers ``ResLayerExtraNorm`` there.

    Raises:
        ImportError: mmdet is not installed.
    """
    if find_spec('mmdet') is None:
        raise ImportError(
            'Detection and segmentation need mmdet, which is not installed: '
            f'pip install {MMDET.install} (in a checkout: pip install -r '
            'requirements/detection.txt, or bash tools/setup_env.sh '
            'detection). It needs no compiler.',
            name='mmdet',
        )
    install_ops()
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)
        importlib.import_module('mmdet.models')
    # mmpretrain defines this class if mmdet can be imported when mmpretrain
    # is, which has been before mmcv had operations.
    module = importlib.import_module(
        'mmpretrain.models.utils.res_layer_extra_norm'
    )
    if module.ResLayerExtraNorm is None:
        importlib.reload(module)
