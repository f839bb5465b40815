# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from pauc_mm.checkpoints.weights import matching_names, read_weights


def test_exactly_ninety_percent_is_enough(tmp_path):
    weights = {str(i): torch.zeros(i + 1) for i in range(9)}
    module = torch.nn.ParameterDict(
        {str(i): torch.zeros(i + 1) for i in range(10)}
    )
    names = matching_names({'x': module}, weights, 'y')
    assert names == {'x': list(weights)}
    del weights['8']
    with pytest.raises(RuntimeError, match='Only 8 of the 10'):
        matching_names({'x': module}, weights, 'y')


def test_parts_of_one_checkpoint_count_together():
    stem = torch.nn.ParameterDict({f's{i}': torch.zeros(2) for i in range(8)})
    head = torch.nn.ParameterDict({f'h{i}': torch.zeros(2) for i in range(2)})
    weights = {**stem.state_dict(), 'h0': torch.zeros(2)}
    parts = dict(stem=stem, head=head)
    assert matching_names(parts, weights, 'y')['head'] == ['h0']
    with pytest.raises(RuntimeError, match='Only 1 of the 2 tensors of head'):
        matching_names(dict(head=head), weights, 'y')
    with pytest.raises(RuntimeError, match='of stem and head') as error:
        matching_names(parts, stem.state_dict(), 'y')
    assert '2 missing: head.h0, head.h1.' in str(error.value)


@pytest.mark.parametrize(
    'content', [dict(epoch=3), [1, 2], dict(state_dict=dict(a=1))]
)
def test_no_model_at_all(tmp_path, content):
    torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(RuntimeError, match='no checkpoint of a model'):
        read_weights(str(tmp_path / 'a.pth'))


def test_module_prefix_is_cut_as_mmengine_does(tmp_path):
    state = {'module.layer.weight': torch.zeros(2)}
    torch.save(dict(state_dict=state), tmp_path / 'a.pth')
    assert 'layer.weight' in read_weights(str(tmp_path / 'a.pth'))
