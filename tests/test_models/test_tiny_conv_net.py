# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The small backbone's stages."""

import pytest
import torch

from pauc_mm.models import TinyConvNet


def test_maps_of_stages():
    x = torch.randn(2, 3, 32, 48)
    kwargs = dict(channels=(4, 8, 12), strides=(2, 2, 2))
    last = TinyConvNet(**kwargs)
    several = TinyConvNet(**kwargs, out_indices=(0, 2))
    several.load_state_dict(last.state_dict())
    # as counted from the end
    assert TinyConvNet(out_indices=(-3, -1)).out_indices == (0, 2)
    for net in (last, several):
        assert not any(part.training for part in net.eval().modules())
    first, second = several(x)
    assert first.shape == (2, 4, 16, 24) and second.shape == (2, 12, 4, 6)
    assert torch.equal(second, last(x)[0])
    want = x
    for layer in last.layers:
        want = torch.relu(layer.bn(layer.conv(want)))
    torch.testing.assert_close(second, want)


def test_frozen_stages():
    net = TinyConvNet(frozen_stages=2)
    trained = {n for n, p in net.named_parameters() if p.requires_grad}
    assert trained and all(n.startswith('layers.2.') for n in trained)
    net.train()
    assert net.layers[0].bn.training
    net(torch.rand(2, 3, 16, 16))[-1].square().sum().backward()
    assert {n for n, p in net.named_parameters() if p.grad is not None} == (
        trained
    )
    for frozen in (0, 2):
        net = TinyConvNet(frozen_stages=frozen, norm_eval=True).train()
        assert not any(layer.bn.training for layer in net.layers)
    assert net.training
    assert not any(
        p.requires_grad for p in TinyConvNet(frozen_stages=3).parameters()
    )


def test_options_and_defaults():
    init_cfg = dict(type='Constant', layer='Conv2d', val=0.5)
    net = TinyConvNet(in_channels=1, init_cfg=init_cfg)
    net.init_weights()
    shapes = [tuple(layer.conv.weight.shape) for layer in net.layers]
    assert shapes == [(32, 1, 3, 3), (64, 32, 3, 3), (128, 64, 3, 3)]
    assert all(layer.conv.weight.eq(0.5).all() for layer in net.layers)


@pytest.mark.parametrize(
    'kwargs, key',
    [
        (dict(out_indices=()), 'out_indices'),
        (dict(out_indices=(2, 1)), 'out_indices'),
        (dict(out_indices=(1, 1)), 'out_indices'),
        (dict(out_indices=(1, 3)), 'out_indices'),
        (dict(out_indices=(2, -1)), 'out_indices'),
        (dict(frozen_stages=4), 'frozen_stages'),
        (dict(frozen_stages=-1), 'frozen_stages'),
    ],
)
def test_wrong_stages(kwargs, key):
    with pytest.raises(ValueError, match=f'backbone.{key}='):
        TinyConvNet(**kwargs)
