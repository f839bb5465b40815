# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CARP on ImageNet-1k with decoupled prototypes: the means of an online
# mixture of the teacher's embeddings. In each step the mixture's sums are
# all-reduced, K (2 D + 1) floats, 134 MB; the gradient of the learned
# prototypes, 67 MB, falls away.
_base_ = 'carp_r50_8xb32_in1k.py'

# k-means of 65,536 would take 10^15 operations to begin with, and means that
# begin in directions of their own stay apart (docs/decoupled.md).
model = dict(prototypes=dict(type='MixturePrototypes', init='directions'))
