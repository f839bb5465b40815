# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CARP on the digits with a long tail and decoupled prototypes.
_base_ = 'carp_tiny_digits_lt.py'

model = dict(prototypes=dict(type='MixturePrototypes', init='directions'))
