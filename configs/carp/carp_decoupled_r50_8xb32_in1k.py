# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CARP on ImageNet-1k with decoupled prototypes: the means of an online mixture
# of the teacher's embeddings. Each step all-reduces the mixture's sums, K (2 D
# + 1) floats, 134 MB, instead of the gradient of learned prototypes, 67 MB.
_base_ = 'carp_r50_8xb32_in1k.py'

# A start by k-means of 65,536 would take 10^15 operations, and means that
# begin in random directions stay apart. The mixture learns from a step before
# its loss, the paper's order (docs/decoupled.md).
model = dict(
    prototypes=dict(
        type='MixturePrototypes', init='directions', update='before'
    )
)
