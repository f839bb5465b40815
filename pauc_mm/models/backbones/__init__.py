# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from .tiny_conv_net import TinyConvNet

__all__ = ['TinyConvNet']
