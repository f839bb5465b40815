# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""An encoder as an ONNX graph."""

import io
import json
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from pauc_mm.checkpoints.checkpoint import Checkpoint
from pauc_mm.checkpoints.encoder import Encoder
from pauc_mm.checkpoints.file import State
from pauc_mm.models.embed import encode, pooled
from pauc_mm.utils.require import require

from .plan import Files, Plan, input_shape

OPSET = 17
TOLERANCE = 1e-4  # of onnxruntime, whose kernels are others
_USAGE = """session = onnxruntime.InferenceSession('{{path}}')
{outputs} = session.run(None, {{'images': images}})
# images: float32, shape (N, {channels}, {size}), normalised by {normal}"""


class _Outputs(nn.Module):
    """Features, and embeddings where there is a head, as tensors."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.backbone, self.neck = encoder.backbone, encoder.neck

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        if self.neck is None:
            return (pooled(self.backbone(images)),)
        maps, embeddings = encode(self, images)
        return pooled(maps), F.normalize(embeddings, dim=1)


def onnx_plan(checkpoint: Checkpoint, weights: State, momentum: bool) -> Plan:
    """Plan to write any backbone with its head.

    The number of images is free, and so is their size, but for a network
    with patches.

    Raises:
        ImportError: If onnx or onnxruntime is not installed.
    """
    extra = '"pauc_mm[export]"', '--to onnx'
    onnx = require('onnx', *extra)
    runtime = require('onnxruntime', *extra)
    encoder = checkpoint.encoder(momentum)
    network = _Outputs(encoder).float().eval()
    channels, size = input_shape(encoder.backbone, weights)
    free = not hasattr(encoder.backbone, 'patch_embed')
    outputs = (
        ['features'] if encoder.neck is None else ['features', 'embedding']
    )
    axes = {name: {0: 'batch'} for name in ('images', *outputs)}
    if free:
        axes['images'].update({2: 'height', 3: 'width'})
    # Other numbers than those of the comparison, where they are free: it
    # would not tell else that they became constants.
    example = torch.zeros(1, channels, *(64 if free else size,) * 2)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # By tracing, which takes a tenth of the time of torch.export and any
        # control flow; the comparison shows whether the trace holds.
        warnings.simplefilter('ignore')
        torch.onnx.export(
            network,
            (example,),
            buffer,  # type: ignore[arg-type]
            input_names=['images'],
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    graph = buffer.getvalue()
    session = runtime.InferenceSession(
        graph, providers=['CPUExecutionProvider']
    )

    def write(path: Path, meta: dict) -> Files:
        model = onnx.load_from_string(graph)
        about = dict(meta, **encoder.preprocess)
        properties = {'pauc_mm': json.dumps(about)}
        onnx.helper.set_model_props(model, properties)
        return {'': model.SerializeToString()}

    def run(images: torch.Tensor) -> list[torch.Tensor]:
        results = session.run(None, {'images': images.numpy()})
        return [torch.from_numpy(result) for result in results]

    return Plan(
        network,
        run,
        type(encoder.backbone).__name__,
        network.state_dict(),
        _USAGE.format(
            outputs=', '.join(outputs) + ',' * (len(outputs) == 1),
            channels=channels,
            size='H, W' if free else f'{size}, {size}',
            normal='mean {mean} and std {std}'.format(**encoder.preprocess),
        ),
        [*encoder.notes, f'ONNX opset {OPSET}.'],
        channels=channels,
        size=size,
        tolerance=TOLERANCE,
        write=write,
    )
