# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# M = 1 clustering instead of three (mean over m in eq. 7): the middle K.
_base_ = '../pauc_tiny_mnist.py'

model = dict(num_clusters=[100])
