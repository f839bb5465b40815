# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS

from pauc_mm.models import TinyConvNet, embed_batch, embed_images
from pauc_mm.models.embed import encoder_of
from tests.helpers import images_batch, model_cfg


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = MODELS.build(model_cfg('PCL')).eval()
    with torch.no_grad():  # so that the two encoders can be told apart
        model.neck.fc.weight.add_(1)
    return model


def single_view(num=5):
    batch = images_batch(num, views=1)
    return dict(batch, inputs=batch['inputs'][0])


@pytest.mark.parametrize('momentum', [False, True])
def test_embeddings_of_either_encoder(model, momentum):
    batch = single_view()
    features, embeddings, samples = embed_batch(model, batch, momentum)
    images = (batch['inputs'].float() - 127.5) / 127.5
    backbone, neck = (
        model.encoder_k.module if momentum else (model.backbone, model.neck)
    )
    maps = backbone(images)[0]
    torch.testing.assert_close(features, maps.mean(dim=(2, 3)))
    expected = F.normalize(neck((maps,))[0], dim=1)
    torch.testing.assert_close(embeddings, expected)
    assert not embeddings.requires_grad
    assert [s.sample_idx for s in samples] == list(range(5))


class TwoOutputs(torch.nn.Module):
    """Neck with a second branch, as CLD's."""

    def __init__(self, neck, kind):
        super().__init__()
        self.neck, self.kind = neck, kind

    def forward(self, maps):
        (embeddings,) = self.neck(maps)
        return self.kind([embeddings, -embeddings])


class Fixed(torch.nn.Module):
    def forward(self, _):
        return torch.eye(5)


@pytest.mark.parametrize('kind', [tuple, list])
def test_the_first_output_of_a_neck_is_the_embedding(model, kind):
    images = single_view()['inputs'].float()
    want = embed_images(model, images)[1]
    model.neck = TwoOutputs(model.neck, kind)
    assert torch.equal(embed_images(model, images)[1], want)


def test_the_query_encoder_unless_told_otherwise(model):
    images = single_view()['inputs'].float()
    for function, given in ((embed_images, images), (embed_batch, None)):
        given = single_view() if given is None else given
        one, other = function(model, given), function(model, given, False)
        torch.testing.assert_close(one[1], other[1])
    assert encoder_of(model) == (model.backbone, model.neck)


@pytest.mark.parametrize('shape', [(5, 16), (5, 16, 4), (5, 16, 2, 3)])
@pytest.mark.parametrize('pack', [tuple, list, None])
def test_features_of_any_shape_are_pooled(shape, pack):
    maps = torch.randn(shape)
    earlier = torch.randn(5, 3, 2, 2)
    given = maps if pack is None else pack([earlier, maps])
    net = torch.nn.Module()
    net.backbone, net.neck = (lambda _: given), Fixed()
    features, _ = embed_images(net, None)
    want = maps if len(shape) == 2 else maps.flatten(2).mean(dim=2)
    torch.testing.assert_close(features, want)


@pytest.mark.parametrize('channels_last', [None, False, True])
@pytest.mark.parametrize('amp_dtype', [None, 'float16', 'bfloat16'])
def test_how_images_go_through_the_network(model, amp_dtype, channels_last):
    seen = []
    preprocess = model.data_preprocessor.forward

    def forward(data, training=None):
        seen.append(training)
        data = preprocess(data, training)
        return dict(data, inputs=[data['inputs']])  # as of one view

    def look(module, args):
        seen.append(
            (
                torch.is_autocast_enabled('cpu')
                and torch.get_autocast_dtype('cpu'),
                args[0].is_contiguous(memory_format=torch.channels_last),
            )
        )

    model.data_preprocessor.forward = forward
    model.backbone.register_forward_pre_hook(look)
    options = {} if channels_last is None else dict(channels_last=True)
    if channels_last is False:
        options = dict(channels_last=False)
    features, embeddings, _ = embed_batch(
        model, single_view(), amp_dtype=amp_dtype, **options
    )
    assert features.dtype == embeddings.dtype == torch.float32
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(5))
    dtype = getattr(torch, amp_dtype) if amp_dtype else False
    assert seen == [False, (dtype, bool(channels_last))]


def test_works_for_mmpretrains_algorithms():
    cfg = model_cfg('PCL')
    for key in ('num_clusters', 'proto_head'):
        del cfg[key]
    cfg['type'] = 'MoCo'
    moco = MODELS.build(cfg).eval()
    features, embeddings, _ = embed_batch(moco, single_view())
    assert features.shape == (5, 16) and embeddings.shape == (5, 8)


def test_necks_and_averages_of_other_names():
    heads = dict(
        SwAV=dict(
            head=dict(
                type='SwAVHead',
                loss=dict(
                    type='SwAVLoss',
                    feat_dim=8,
                    num_prototypes=5,
                    num_crops=[2],
                ),
            ),
            neck=dict(
                type='SwAVNeck',
                in_channels=16,
                hid_channels=16,
                out_channels=8,
            ),
        ),
        BYOL=dict(
            base_momentum=0.01,
            neck=dict(
                type='NonLinearNeck',
                in_channels=16,
                hid_channels=16,
                out_channels=8,
                num_layers=2,
                with_avg_pool=True,
            ),
            head=dict(
                type='LatentPredictHead',
                loss=dict(type='CosineSimilarityLoss'),
                predictor=dict(
                    type='NonLinearNeck',
                    in_channels=8,
                    hid_channels=8,
                    out_channels=8,
                    num_layers=2,
                    with_avg_pool=False,
                ),
            ),
        ),
    )
    small = model_cfg()
    for kind, parts in heads.items():
        cfg = dict(
            type=kind,
            backbone=small['backbone'],
            data_preprocessor=small['data_preprocessor'],
            **parts,
        )
        net = MODELS.build(cfg).eval()
        features, embeddings, _ = embed_batch(net, single_view())
        assert embeddings.shape == (5, 8)
        if kind == 'SwAV':  # its neck is a projection of pooled features
            torch.testing.assert_close(
                embeddings, F.normalize(net.neck.projection_neck(features))
            )
            continue
        with torch.no_grad():
            net.target_net.module[1].fc0.weight.zero_()
        _, averaged, _ = embed_batch(net, single_view(), momentum=True)
        assert not torch.allclose(averaged, embeddings)


def test_explains_what_it_cannot_embed(model):
    with pytest.raises(ValueError, match='2 views of each image'):
        embed_batch(model, images_batch(views=2))
    del model.encoder_k
    with pytest.raises(TypeError, match='PCL has no momentum encoder'):
        embed_batch(model, single_view(), momentum=True)
    model.neck = None
    with pytest.raises(TypeError, match='set model.neck'):
        embed_batch(model, single_view())


def test_tiny_conv_net_shapes():
    net = TinyConvNet(channels=(4, 8, 12))
    (maps,) = net(torch.zeros(2, 3, 16, 16))
    assert maps.shape == (2, 12, 4, 4)
    with pytest.raises(ValueError, match='one entry for each'):
        TinyConvNet(channels=(4, 8), strides=(1, 2, 2))


@pytest.mark.parametrize('momentum', [False, True])
def test_a_wrapped_model_is_embedded_as_the_model(model, momentum):
    wrapped = torch.nn.DataParallel(model)
    assert encoder_of(wrapped, momentum) == encoder_of(model, momentum)
    parts = encoder_of(model, momentum)
    assert parts == (
        tuple(model.encoder_k.module)
        if momentum
        else (model.backbone, model.neck)
    )
    one, other = (
        embed_batch(net, single_view(), momentum) for net in (wrapped, model)
    )
    assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])
