# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Decoupled CARP with ViT-S/16 on ImageNet-1k, see
# carp_decoupled_r50_8xb32_in1k.py.
_base_ = 'carp_vit-small-p16_8xb128_in1k.py'

model = dict(
    prototypes=dict(
        type='MixturePrototypes', init='directions', update='before'
    )
)
