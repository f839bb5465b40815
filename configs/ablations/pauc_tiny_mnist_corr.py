# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PAUC with the correlation of prototypes (eq. 6) alone beside
# ProtoNCE: without the other two terms of eq. 7.
_base_ = '../pauc_tiny_mnist.py'

model = dict(align_loss=None, uniform_loss=None)
