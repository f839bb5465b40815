# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PAUC with the uniformity of prototypes (eq. 5) alone beside
# ProtoNCE: without the other two terms of eq. 7.
_base_ = '../pauc_tiny_mnist.py'

model = dict(align_loss=None, corr_loss=None)
