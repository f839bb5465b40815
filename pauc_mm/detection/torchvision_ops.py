# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""mmcv's nms and RoIAlign from torchvision, where mmcv has no compiled ops.

mmcv's Python code calls its extension ``mmcv._ext``. mmcv-lite has the code
without the extension, and mmdet imports that code. :func:`install_ops` puts a
module of this name in place. It has the two operations that Faster R-CNN and
Mask R-CNN need, with the arguments of the compiled ones, and refuses any other
when it is called.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

import torch
import torchvision  # noqa: F401  (registers torch.ops.torchvision)
from torch import Tensor

NAME = 'mmcv._ext'
AVERAGE = 1  # mmcv's pool_mode; 0 is the maximum


def install_ops() -> bool:
    """Serve ``mmcv._ext``, unless the compiled one is there.

    Call it before anything imports mmdet or ``mmcv.ops``. Later calls do
    nothing.

    Returns:
        bool: Whether torchvision's operations serve; False if mmcv has its
        own, which are left alone.

    Raises:
        RuntimeError: torchvision has no compiled operations either.
    """
    if NAME in sys.modules:
        return sys.modules[NAME].__dict__.get('nms') is nms
    if find_spec(NAME) is not None:
        return False
    if not hasattr(torch.ops.torchvision, 'nms'):
        raise RuntimeError(
            f'torchvision {torchvision.__version__} has no compiled '
            'operations, so that it cannot stand in for those of mmcv: '
            'install a torchvision that was built for torch '
            f'{torch.__version__} (pip install --upgrade torch torchvision).'
        )
    module = ModuleType(NAME, 'Operations of torchvision under mmcv names.')
    module.__spec__ = ModuleSpec(NAME, loader=None, origin=__name__)
    module.nms = nms
    module.roi_align_forward = roi_align_forward
    module.roi_align_backward = roi_align_backward
    # mmcv.utils.collect_env prints what these two return.
    module.get_compiler_version = lambda: 'n/a (torchvision)'
    module.get_compiling_cuda_version = lambda: 'n/a (torchvision)'
    module.__getattr__ = _refusal
    sys.modules[NAME] = module
    sys.modules['mmcv']._ext = module
    # What mmcv's transformer, imported before, takes from mmcv.ops; on a CPU
    # it is plain Python.
    name = 'MultiScaleDeformableAttention'
    transformer = import_module('mmcv.cnn.bricks.transformer')
    if not hasattr(transformer, name):
        setattr(transformer, name, getattr(import_module('mmcv.ops'), name))
    return True


def nms(
    boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int
) -> Tensor:
    """Suppress non-maxima greedily, ``mmcv._ext.nms``.

    Boxes have corners x1, y1, x2, y2, (N, 4), and scores (N,). One goes if its
    IoU with a kept one of a higher score is above the threshold, which as in
    mmcv counts as a float32, unless the boxes are float64. ``offset`` is 0, or
    1 for boxes that include their last pixel, whose width is x2 - x1 + 1.

    Returns:
        Tensor: Indices of the kept boxes by falling score, int64; of equal
        scores the first comes first (on a GPU that is not certain).
    """
    dtype = torch.promote_types(boxes.dtype, scores.dtype)
    dtype = torch.promote_types(dtype, torch.float32)
    boxes = boxes.to(dtype)
    if offset:
        boxes = boxes + boxes.new_tensor([0, 0, offset, offset])
    threshold = torch.tensor(iou_threshold, dtype=dtype, device='cpu').item()
    return torch.ops.torchvision.nms(boxes, scores.to(dtype), threshold)


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Average the cells of regions, ``mmcv._ext.roi_align_forward``.

    ``input`` are feature maps, shape (N, C, H, W). ``rois``, of their dtype,
    shape (R, 5), are the index of the image, then x1, y1, x2, y2 in its
    pixels. ``output`` takes the result, shape (R, C, ``aligned_height``,
    ``aligned_width``). ``argmax_y`` and ``argmax_x`` are of the maximum alone
    and not used. ``spatial_scale`` is the size of a feature map over that of
    the image, ``sampling_ratio`` the points of a cell in each direction, 0 for
    as many as it is pixels long, rounded up. ``pool_mode`` is 1, the average.
    Pixel centres lie at half-integers if ``aligned``.

    Raises:
        RuntimeError: The maximum was asked for.
        ValueError: On a CPU: a region of an image that is not there, or, if
            ``aligned``, of negative size. (On a GPU nobody looks, which would
            mean waiting for it.)
    """
    _check_roi_align(rois, len(input), pool_mode, aligned)
    result = torch.ops.torchvision.roi_align(
        _computable(input),
        _computable(rois),
        spatial_scale,
        aligned_height,
        aligned_width,
        sampling_ratio,
        aligned,
    )
    # Not a copy: the tensor that mmcv made takes the memory of this one.
    output.set_(result.to(output.dtype))


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Return the gradient of the features, ``mmcv._ext.roi_align_backward``.

    ``grad_output`` has the shape of the output and ``grad_input``, which takes
    the result, that of the input; the others, and the errors, are those of
    :func:`roi_align_forward`.
    """
    _check_roi_align(rois, len(grad_input), pool_mode, aligned)
    result = torch.ops.torchvision._roi_align_backward(
        _computable(grad_output),
        _computable(rois),
        spatial_scale,
        aligned_height,
        aligned_width,
        *grad_input.shape,
        sampling_ratio,
        aligned,
    )
    grad_input.set_(result.to(grad_input.dtype))


def _computable(tensor: Tensor) -> Tensor:
    """Float32 in place of bfloat16, which torchvision does not know."""
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor


def _check_roi_align(
    rois: Tensor, num_images: int, pool_mode: int, aligned: bool
) -> None:
    if pool_mode != AVERAGE:
        raise RuntimeError(
            "RoIAlign(pool_mode='max') "
            + _needs_compiled(" Or set pool_mode='avg'.")
        )
    if rois.device.type != 'cpu':
        return
    wrong = ~((rois[:, 0] >= 0) & (rois[:, 0] < num_images))
    if aligned:  # compared so that NaN is wrong too
        wrong |= ~(rois[:, 3:] >= rois[:, 1:3]).all(dim=1)
    if wrong.any():
        raise ValueError(
            f'RoIAlign cannot take the region {rois[wrong][0].tolist()}: it '
            'must be (image, x1, y1, x2, y2) with an image from 0 to '
            f'{num_images - 1}, x1 <= x2 and y1 <= y2.'
        )


def _refusal(name: str) -> Callable:
    """Return an operation ``mmcv._ext.<name>`` that raises when called."""
    if name.startswith('__'):
        raise AttributeError(f'module {NAME!r} has no attribute {name!r}')

    def refuse(*args, **kwargs):
        raise RuntimeError(f'The operation {name!r} ' + _needs_compiled())

    refuse.__name__ = name
    return refuse


def _needs_compiled(instead: str = '') -> str:
    return (
        'needs the compiled operations of mmcv, which is installed without '
        'them; torchvision stands in for nms and roi_align (average) alone. '
        f'To build them, in about 15 minutes, see docs/install.md.{instead}'
    )
