# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""ONNX graphs, run by onnxruntime, against the encoder."""

import json

import pytest
import torch

from pauc_mm.checkpoints.converters import export, onnx_format
from tests.helpers import load_encoder
from tests.test_checkpoints.source_models import images
from tests.test_checkpoints.test_converters.test_timm_format import vit_file

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')


def check(path, result, names, *batches):
    session = onnxruntime.InferenceSession(result.path)
    assert [out.name for out in session.get_outputs()] == names
    encoder = load_encoder(path)
    for batch in batches:
        got = session.run(None, {'images': batch.numpy()})
        for one, expected in zip(got, encoder.embed(batch)):
            gap = abs(torch.from_numpy(one) - expected).max()
            assert gap < 1e-4 * expected.abs().max()
    return onnx.load(result.path)


def test_features_and_embedding_of_any_number_and_size(tmp_path, trained):
    result = export(trained, tmp_path / 'x.onnx', 'onnx')
    batches = images(1, 16), images(5, 16), images(2, 24)
    names = ['features', 'embedding']
    model = check(trained, result, names, *batches)
    assert model.opset_import[0].version == onnx_format.OPSET == 17
    stored = {entry.key: entry.value for entry in model.metadata_props}
    about = json.loads(stored['pauc_mm'])
    assert about['epoch'] == 2 and about['source'] == 'epoch_2.pth'
    assert about['mean'] == load_encoder(trained).preprocess['mean']
    assert "session.run(None, {'images': images})" in result.usage


@pytest.mark.slow
def test_a_vit_has_a_size(tmp_path):
    path = vit_file(tmp_path)
    result = export(path, tmp_path / 'x.onnx', 'onnx')
    batches = images(1, 16), images(4, 16)
    check(path, result, ['features'], *batches)
    assert '(N, 3, 16, 16)' in result.usage
    session = onnxruntime.InferenceSession(result.path)
    with pytest.raises(Exception, match='Got: 32 Expected: 16'):
        session.run(None, {'images': images(1, 32).numpy()})


def test_a_graph_that_computes_something_else(tmp_path, trained, monkeypatch):
    """As when tracing keeps a number that depends on the images."""
    right = onnx_format.pooled

    def traced(maps):
        return right(maps) * (1 + torch.onnx.is_in_onnx_export())

    monkeypatch.setattr(onnx_format, 'pooled', traced)
    with pytest.raises(RuntimeError, match='computes something else'):
        export(trained, tmp_path / 'x.onnx', 'onnx')
    assert not (tmp_path / 'x.onnx').exists()
