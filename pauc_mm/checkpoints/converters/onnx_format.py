# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""An encoder as an ONNX graph."""

import io
import json
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from pauc_mm.checkpoints.encoder import Encoder
from pauc_mm.models.embed import encode, pooled
from pauc_mm.utils.require import require

from .plan import Files, Plan, Source, preprocessing

OPSET = 17
TOLERANCE = 1e-4  # of onnxruntime, whose kernels are others
_USAGE = """session = onnxruntime.InferenceSession('{{path}}')
{outputs} = session.run(None, {{'images': images}})
# images: float32, shape (N, {channels}, {size}), normalised by
# {normal}"""


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


def onnx_plan(source: Source) -> Plan:
    """Plan to write any backbone with its head.

    The number of images is free, and so is their size, but for a network
    with patches.

    Raises:
        ImportError: If onnx or onnxruntime is not installed.
    """
    extra = '"pauc_mm[export]"', '--to onnx'
    onnx = require('onnx', *extra)
    runtime = require('onnxruntime', *extra)
    encoder = source.checkpoint.encoder(source.momentum)
    side, image_notes = preprocessing(encoder)
    network = _Outputs(encoder).float().eval()
    free = not hasattr(encoder.backbone, 'patch_embed')
    side = side if free else source.size
    outputs = (
        ['features'] if encoder.neck is None else ['features', 'embedding']
    )
    axes = {name: {0: 'batch'} for name in ('images', *outputs)}
    if free:
        axes['images'].update({2: 'height', 3: 'width'})
    # Other numbers than those of the comparison, where they are free: it
    # would not tell else that they became constants.
    example = torch.zeros(1, source.channels, *(64 if free else side,) * 2)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # By tracing, which takes a tenth of the time of torch.export and any
        # control flow; the comparison shows whether the trace holds.
        warnings.simplefilter('ignore')
        try:
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
        except Exception as error:  # anything, from within a network
            raise RuntimeError(
                f'{source.name} cannot be written as an ONNX graph: {error}'
            ) from error
    graph = buffer.getvalue()
    session = runtime.InferenceSession(
        graph, providers=['CPUExecutionProvider']
    )

    def write(path: Path, meta: dict) -> Files:
        model = onnx.load_from_string(graph)
        about = dict(meta, **encoder.preprocess, image_size=side)
        properties = {'pauc_mm': json.dumps(about)}
        onnx.helper.set_model_props(model, properties)
        return {'': model.SerializeToString()}

    def run(images: torch.Tensor) -> list[torch.Tensor]:
        try:
            results = session.run(None, {'images': images.numpy()})
        except Exception as error:  # of onnxruntime's own classes
            raise RuntimeError(
                f'The graph of {source.name} does not run on images of '
                f'shape {tuple(images.shape)}, nothing was written: {error}'
            ) from error
        return [torch.from_numpy(result) for result in results]

    return Plan(
        run,
        network.state_dict(),
        _USAGE.format(
            outputs=', '.join(outputs) + ',' * (len(outputs) == 1),
            channels=source.channels,
            size='H, W' if free else f'{side}, {side}',
            normal='mean {mean} and std {std}'.format(**encoder.preprocess),
        ),
        [*encoder.notes, *image_notes, f'ONNX opset {OPSET}.'],
        reference=network,
        tolerance=TOLERANCE,
        write=write,
    )
