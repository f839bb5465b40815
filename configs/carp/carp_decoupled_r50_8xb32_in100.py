# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CARP on ImageNet-100 with decoupled prototypes: the means of an online
# mixture of the teacher's embeddings.
_base_ = 'carp_r50_8xb32_in100.py'

# As on ImageNet-1k, see carp_decoupled_r50_8xb32_in1k.py.
model = dict(
    prototypes=dict(
        type='MixturePrototypes', init='directions', update='before'
    )
)
