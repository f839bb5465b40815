# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Half as many prototypes in each of the M clusterings (K of eq. 2).
_base_ = '../pauc_tiny_mnist.py'

model = dict(num_clusters=[25, 50, 125])
