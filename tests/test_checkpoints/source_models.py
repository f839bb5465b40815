# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Networks as the official implementations write them, and small."""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

DIM = 64  # of the features


class NarrowResNet(ResNet):
    """torchvision's with an eighth of the channels, one block a stage."""

    def __init__(self, num_classes=10, **kwargs):
        super().__init__(BasicBlock, [1, 1, 1, 1], **kwargs)
        self.fc = nn.Linear(DIM, num_classes)

    def _make_layer(self, block, planes, *args, **kwargs):
        return super()._make_layer(block, planes // 8, *args, **kwargs)


def small_resnet(**kwargs):
    """A NarrowResNet in eval mode."""
    return shaken(NarrowResNet(**kwargs))


def shaken(model):
    """The model with BatchNorm statistics that are not 0 and 1."""
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.1)
    model.eval()
    return model


def images(num=3, size=32):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(num, 3, size, size, generator=generator)


def wrapped(module, prefix='module.'):
    """Its state as DistributedDataParallel names it."""
    return {f'{prefix}{k}': v for k, v in module.state_dict().items()}


def without_fc(resnet, batch):
    """Features: the forward pass of torchvision up to the classifier."""
    fc, resnet.fc = resnet.fc, nn.Identity()
    with torch.no_grad():
        features = resnet(batch)
    resnet.fc = fc
    return features


class OfficialMoCo(nn.Module):
    """The modules of moco/builder.py, and of pcl/builder.py."""

    def __init__(self, mlp, queue=64, dim=16):
        super().__init__()
        self.encoder_q = small_resnet(num_classes=dim)
        self.encoder_k = small_resnet(num_classes=dim)
        if mlp:
            for encoder in (self.encoder_q, self.encoder_k):
                encoder.fc = nn.Sequential(
                    nn.Linear(DIM, DIM), nn.ReLU(), encoder.fc
                )
        self.register_buffer('queue', torch.randn(dim, queue))
        self.register_buffer('queue_ptr', torch.zeros(1, dtype=torch.long))


class OfficialSwAV(NarrowResNet):
    """The modules and the forward pass of src/resnet50.py."""

    def __init__(self, prototypes, hidden=24, dim=16):
        super().__init__()
        del self.fc
        self.padding = nn.ConstantPad2d(1, 0.0)
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=2, bias=False)
        self.projection_head = nn.Sequential(
            nn.Linear(DIM, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, dim),
        )
        if isinstance(prototypes, int):
            self.prototypes = nn.Linear(dim, prototypes, bias=False)
        else:
            self.prototypes = nn.Module()
            for i, k in enumerate(prototypes):
                layer = nn.Linear(dim, k, bias=False)
                self.prototypes.add_module(f'prototypes{i}', layer)
        shaken(self)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(self.padding(x))))
        x = self.layer2(self.layer1(self.maxpool(x)))
        x = self.avgpool(self.layer4(self.layer3(x)))
        x = torch.flatten(x, 1)
        return x, F.normalize(self.projection_head(x), dim=1)


class OfficialDINO(nn.Module):
    """MultiCropWrapper of a ResNet and a DINOHead.

    The head of the released ResNet-50 has one layer less, and a last layer
    without weight normalisation, ``plain``.
    """

    def __init__(
        self, use_bn=False, parametrized=False, plain=False, out_dim=12
    ):
        super().__init__()
        self.backbone = small_resnet()
        self.backbone.fc = nn.Identity()
        layers = [nn.Linear(DIM, 24)]
        for _ in range(1 if plain else 2):
            layers += [nn.BatchNorm1d(24)] if use_bn else []
            layers += [nn.GELU(), nn.Linear(24, 24)]
        self.head = nn.Module()
        self.head.mlp = nn.Sequential(*layers)
        last = nn.Linear(24, out_dim, bias=False)
        if plain:
            pass
        elif parametrized:
            last = nn.utils.parametrizations.weight_norm(last)
        else:
            last = nn.utils.weight_norm(last)
        self.head.last_layer = last
        shaken(self)

    def forward(self, x):
        x = self.backbone(x)
        return x, F.normalize(self.head.mlp(x), dim=-1)
