# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PAUC with the alignment of prototypes (eq. 4) alone beside
# ProtoNCE: without the other two terms of eq. 7.
_base_ = '../pauc_tiny_mnist.py'

model = dict(uniform_loss=None, corr_loss=None)
