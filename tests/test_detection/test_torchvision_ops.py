# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The stand-ins for mmcv's operations against slow loops."""

import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from pauc_mm.detection import torchvision_ops
from pauc_mm.detection.torchvision_ops import install_ops

ROOT = Path(__file__).resolve().parents[2]


def random_boxes(count, seed, size=64.0):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * size
    extent = torch.rand(count, 2, generator=generator) * size / 2
    return torch.cat([corner, corner + extent], dim=1)


# ---- non-maximum suppression -----------------------------------------------
def slow_nms(boxes, scores, threshold, offset):
    """Greedy, one pair at a time, in float32 as mmcv counts."""

    def area(box):
        return (box[2] - box[0] + offset) * (box[3] - box[1] + offset)

    def iou(a, b):
        width = torch.minimum(a[2], b[2]) - torch.maximum(a[0], b[0]) + offset
        height = torch.minimum(a[3], b[3]) - torch.maximum(a[1], b[1]) + offset
        overlap = width.clamp(min=0) * height.clamp(min=0)
        return overlap / (area(a) + area(b) - overlap)

    order = sorted(range(len(boxes)), key=lambda i: -scores[i].item())
    threshold = torch.tensor(threshold)
    kept = []
    for i in order:
        # 0 / 0 of two empty boxes is not above anything.
        if not any(iou(boxes[i], boxes[j]) > threshold for j in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('threshold', [0.0, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize('seed', [0, 1])
def test_nms_is_greedy(seed, threshold, offset):
    boxes = random_boxes(40, seed).round()  # whole numbers: no rounding
    generator = torch.Generator().manual_seed(seed)
    # Many ties: ten different scores.
    scores = torch.randint(10, (40,), generator=generator) / 10
    kept = torchvision_ops.nms(boxes, scores, threshold, offset)
    assert kept.dtype == torch.int64
    assert kept.tolist() == slow_nms(boxes, scores, threshold, offset)


@pytest.mark.parametrize('tenths', range(1, 10))
def test_nms_keeps_what_is_at_the_threshold(tenths):
    # One box is that many tenths of the other. In float64 0.6 is below the
    # float32 that the quotient is rounded to.
    boxes = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, tenths]])
    scores = torch.tensor([0.9, 0.8])
    for dtype in (torch.float32, torch.float64):
        kept = torchvision_ops.nms(boxes.to(dtype), scores, tenths / 10, 0)
        assert kept.tolist() == [0, 1]
        below = tenths / 10 - 1e-6
        assert torchvision_ops.nms(boxes.to(dtype), scores, below, 0).tolist()
        assert len(torchvision_ops.nms(boxes.to(dtype), scores, below, 0)) == 1


def test_nms_of_little():
    empty = torchvision_ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.5, 0)
    assert empty.dtype == torch.int64 and empty.shape == (0,)
    # A box that includes its one pixel overlaps a copy; without, it is empty.
    boxes = torch.tensor([[3.0, 3, 3, 3], [3.0, 3, 3, 3]])
    scores = torch.tensor([0.1, 0.2])
    assert torchvision_ops.nms(boxes, scores, 0.5, 1).tolist() == [1]
    assert torchvision_ops.nms(boxes, scores, 0.5, 0).tolist() == [1, 0]


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_nms_in_half_precision(dtype):
    boxes, scores = random_boxes(30, 2).to(dtype), torch.rand(30).to(dtype)
    kept = torchvision_ops.nms(boxes, scores, 0.3, 0)
    assert kept.tolist() == slow_nms(boxes.float(), scores.float(), 0.3, 0)


# ---- RoIAlign ---------------------------------------------------------------
def bilinear(image, y, x):
    """Value of (C, H, W) at a point; 0 further than a pixel outside."""
    height, width = image.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return image.new_zeros(len(image))
    y = min(max(y, 0.0), height - 1.0)
    x = min(max(x, 0.0), width - 1.0)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    fy, fx = y - top, x - left
    return (
        image[:, top, left] * (1 - fy) * (1 - fx)
        + image[:, top, right] * (1 - fy) * fx
        + image[:, bottom, left] * fy * (1 - fx)
        + image[:, bottom, right] * fy * fx
    )


def slow_roi_align(features, rois, size, scale, ratio, aligned):
    """One point at a time (Mask R-CNN, section 3), differentiable."""
    rows = []
    for roi in rois.tolist():
        shift = 0.5 if aligned else 0.0
        x1, y1, x2, y2 = (value * scale - shift for value in roi[1:])
        width, height = x2 - x1, y2 - y1
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        cell_h, cell_w = height / size[0], width / size[1]
        points_h = ratio if ratio > 0 else math.ceil(cell_h)
        points_w = ratio if ratio > 0 else math.ceil(cell_w)
        cells = []
        for i in range(size[0]):
            for j in range(size[1]):
                total = features.new_zeros(features.shape[1])
                for a in range(points_h):
                    for b in range(points_w):
                        y = y1 + (i + (a + 0.5) / points_h) * cell_h
                        x = x1 + (j + (b + 0.5) / points_w) * cell_w
                        total = total + bilinear(features[int(roi[0])], y, x)
                cells.append(total / max(points_h * points_w, 1))
        cell = torch.stack(cells, dim=1)
        rows.append(cell.reshape(features.shape[1], *size))
    return torch.stack(rows)


@pytest.fixture
def problem():
    """Two maps of 3 channels, and regions in, across and out of the image."""
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(
        2, 3, 9, 12, generator=generator, dtype=torch.float64
    )
    boxes = random_boxes(6, 4, size=40.0)
    boxes = torch.cat(
        [
            boxes,
            torch.tensor(
                [
                    [-9.0, -7.0, 20.0, 15.0],
                    [30.0, 20.0, 90.0, 80.0],
                    [100.0, 100.0, 120.0, 120.0],
                    [5.0, 5.0, 5.0, 5.0],
                ]
            ),
        ]
    )
    image = (torch.arange(len(boxes)) % 2)[:, None]
    return features, torch.cat([image, boxes], dim=1).double()


SETTINGS = [
    ((2, 3), 0.25, 0, True),
    ((3, 2), 0.25, 2, True),
    ((2, 2), 0.25, 0, False),
    ((1, 3), 0.5, 3, False),
]


@pytest.fixture
def mmcv_ops():
    install_ops()
    import mmcv.ops

    return mmcv.ops


@pytest.mark.parametrize('size, scale, ratio, aligned', SETTINGS)
def test_roi_align(problem, mmcv_ops, size, scale, ratio, aligned):
    features, rois = problem
    layer = mmcv_ops.RoIAlign(size, scale, ratio, 'avg', aligned)
    ours = features.clone().requires_grad_()
    slow = features.clone().requires_grad_()
    result = layer(ours, rois)
    expected = slow_roi_align(slow, rois, size, scale, ratio, aligned)
    torch.testing.assert_close(result, expected, rtol=1e-9, atol=1e-12)
    weights = torch.randn_like(expected)
    (result * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, slow.grad, rtol=1e-9, atol=1e-12)
    assert ours.grad.abs().sum() > 0


def test_roi_align_gradient_by_finite_differences(problem, mmcv_ops):
    features, rois = problem
    layer = mmcv_ops.RoIAlign((2, 2), 0.25, 0, 'avg', True)
    inputs = features[:, :1].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: layer(x, rois), (inputs,))


def test_roi_align_of_a_ramp_is_its_value_at_the_centres(mmcv_ops):
    y, x = torch.meshgrid(
        torch.arange(16.0), torch.arange(20.0), indexing='ij'
    )
    ramp = (2 * x - 3 * y + 1)[None, None]
    rois = torch.tensor([[0, 12.0, 8.0, 60.0, 40.0]])
    result = mmcv_ops.RoIAlign((4, 6), 0.25, 2, 'avg', True)(ramp, rois)
    # Cells of 2 pixels of the map; pixel centres lie at half-integers.
    cx = 3 + 2 * torch.arange(6.0) + 1 - 0.5
    cy = 2 + 2 * torch.arange(4.0) + 1 - 0.5
    expected = 2 * cx[None, :] - 3 * cy[:, None] + 1
    torch.testing.assert_close(result[0, 0], expected)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_roi_align_keeps_dtype_and_memory_of_its_own(problem, mmcv_ops, dtype):
    if dtype == torch.bfloat16 and not install_ops():
        pytest.skip('the compiled operations know no bfloat16')
    features, rois = problem
    layer = mmcv_ops.RoIAlign((2, 3), 0.25, 2, 'avg', True)
    inputs = features.to(dtype).requires_grad_()
    regions = rois.to(dtype)
    result = layer(inputs, regions)
    result.float().square().sum().backward()
    assert result.dtype == inputs.grad.dtype == dtype
    exact = layer(inputs.detach().double(), regions.double())
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(
        result.double(), exact, rtol=tolerance, atol=tolerance
    )


def test_no_regions_have_no_features(mmcv_ops):
    features = torch.ones(1, 2, 4, 4, requires_grad=True)
    layer = mmcv_ops.RoIAlign((2, 3), 1.0, 0, 'avg', True)
    result = layer(features, torch.zeros(0, 5))
    assert result.shape == (0, 2, 2, 3)
    result.sum().backward()
    assert not features.grad.any()


def test_mmcvs_own_code_takes_them(mmcv_ops):
    # The boxes of the docstring of mmcv.ops.nms, of which three remain.
    boxes = torch.tensor(
        [
            [49.1, 32.4, 51.0, 35.9],
            [49.3, 32.9, 51.0, 35.3],
            [49.2, 31.8, 51.0, 35.4],
            [35.1, 11.5, 39.1, 15.7],
            [35.6, 11.8, 39.3, 14.2],
            [35.3, 11.5, 39.9, 14.5],
            [35.2, 11.7, 39.7, 15.7],
        ]
    )
    scores = torch.tensor([0.9, 0.9, 0.5, 0.5, 0.5, 0.4, 0.3])
    dets, kept = mmcv_ops.nms(boxes, scores, 0.6)
    assert kept.tolist() == slow_nms(boxes, scores, 0.6, 0)
    assert len(dets) == 3 and dets.shape == (3, 5)
    _, kept = mmcv_ops.nms(boxes, scores, 0.6, max_num=2)
    assert len(kept) == 2
    _, kept = mmcv_ops.nms(boxes, scores, 0.6, score_threshold=0.45)
    part = slow_nms(boxes[:5], scores[:5], 0.6, 0)
    assert kept.tolist() == part
    # Boxes of different classes do not suppress each other.
    classes = torch.arange(7)
    _, kept = mmcv_ops.batched_nms(
        boxes, scores, classes, dict(type='nms', iou_threshold=0.6)
    )
    assert sorted(kept.tolist()) == list(range(7))


# ---- the compiled ones ------------------------------------------------------
def test_equal_to_the_compiled_operations(problem):
    if install_ops():
        pytest.skip('mmcv has no compiled operations here')
    import mmcv._ext as compiled

    boxes = random_boxes(500, 5)
    # No ties: the compiled sort does not say which of equals comes first.
    scores = torch.randperm(500) / 500
    for threshold in (0.3, 0.5, 0.7):
        for offset in (0, 1):
            args = boxes, scores, threshold, offset
            assert torch.equal(torchvision_ops.nms(*args), compiled.nms(*args))
    features, rois = (t.float() for t in problem)
    for size, scale, ratio, aligned in SETTINGS:
        shared = dict(
            aligned_height=size[0],
            aligned_width=size[1],
            spatial_scale=scale,
            sampling_ratio=ratio,
            pool_mode=1,
            aligned=aligned,
        )
        nothing = features.new_zeros(0)
        shape = (len(rois), features.shape[1], *size)
        pairs = []
        for ops in (torchvision_ops, compiled):
            out, grad = features.new_zeros(shape), torch.zeros_like(features)
            ops.roi_align_forward(
                features, rois, out, nothing, nothing, **shared
            )
            ops.roi_align_backward(
                torch.ones_like(out), rois, nothing, nothing, grad, **shared
            )
            pairs.append((out, grad))
        torch.testing.assert_close(pairs[0], pairs[1], rtol=1e-6, atol=1e-6)


# ---- installing, refusing ---------------------------------------------------
# In an interpreter of its own: a module is imported once.
ALONE = """
import importlib.machinery
import sys
import warnings
from importlib.util import find_spec

warnings.simplefilter('ignore')
import pauc_mm

if find_spec('mmcv._ext') is None:  # else mmpretrain imports it by itself
    assert 'mmcv._ext' not in sys.modules and 'mmcv.ops' not in sys.modules
    assert 'mmdet.models' not in sys.modules


class Compiled:
    def find_spec(self, name, path=None, target=None):
        if name == 'mmcv._ext':
            return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        module.nms = 'compiled'


from pauc_mm.detection.torchvision_ops import install_ops

sys.meta_path.insert(0, Compiled())
sys.modules.pop('mmcv._ext', None)
assert install_ops() is False
assert 'mmcv._ext' not in sys.modules
import mmcv._ext

assert install_ops() is False and mmcv._ext.nms == 'compiled'
"""


@pytest.mark.slow
def test_importing_installs_nothing_and_compiled_ones_are_left():
    result = subprocess.run(
        [sys.executable, '-c', ALONE],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr


@pytest.fixture
def stand_in():
    if not install_ops():
        pytest.skip('mmcv has compiled operations here')
    return sys.modules['mmcv._ext']


def test_installing_again_does_nothing(stand_in):
    assert install_ops() is True
    assert sys.modules['mmcv._ext'] is stand_in
    import mmcv

    assert mmcv._ext is stand_in
    assert stand_in.nms is torchvision_ops.nms


def test_other_operations_are_refused_when_they_are_called(stand_in, mmcv_ops):
    boxes, scores = random_boxes(3, 0), torch.rand(3)
    with pytest.raises(RuntimeError, match="'softnms' needs") as refusal:
        mmcv_ops.soft_nms(boxes, scores)
    message = str(refusal.value)
    assert 'docs/install.md' in message
    assert 'nms and roi_align' in message
    with pytest.raises(RuntimeError, match="'roi_pool_forward' needs"):
        mmcv_ops.RoIPool(2)(torch.ones(1, 1, 4, 4), torch.zeros(1, 5))
    with pytest.raises(AttributeError):
        stand_in.__wrapped__  # noqa: B018
    assert 'torchvision' in mmcv_ops.get_compiler_version()


def test_wrong_regions(stand_in, mmcv_ops):
    features = torch.ones(2, 1, 4, 4)
    good = [0, 1.0, 1.0, 2.0, 2.0]
    layer = mmcv_ops.RoIAlign((1, 1), 1.0, 0, 'avg', True)
    for bad in (
        [2, 1.0, 1.0, 2.0, 2.0],
        [-1, 1.0, 1.0, 2.0, 2.0],
        [0, 2.0, 1.0, 1.0, 2.0],
        [0, 1.0, 1.0, math.nan, 2.0],
    ):
        with pytest.raises(ValueError, match='cannot take the region'):
            layer(features, torch.tensor([good, bad]))
    with pytest.raises(RuntimeError, match="pool_mode='avg'"):
        mmcv_ops.RoIAlign((1, 1), 1.0, 0, 'max', True)(
            features, torch.tensor([good])
        )


def test_torchvision_without_operations(monkeypatch):
    monkeypatch.delitem(sys.modules, 'mmcv._ext', raising=False)
    monkeypatch.setattr(torchvision_ops, 'find_spec', lambda name: None)
    monkeypatch.setattr(torch.ops, 'torchvision', SimpleNamespace())
    with pytest.raises(RuntimeError, match='--upgrade torch torchvision'):
        install_ops()
    assert 'mmcv._ext' not in sys.modules
