# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# T of the softmax that makes a prototype a distribution, for the
# correlation (eq. 6), is 0.3.
_base_ = '../pauc_tiny_mnist.py'

model = dict(corr_loss=dict(temperature=0.3))
