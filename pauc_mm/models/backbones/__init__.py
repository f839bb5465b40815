# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .tiny_conv_net import TinyConvNet
from .vit_with_registers import ViTWithRegisters

__all__ = ['TinyConvNet', 'ViTWithRegisters']
