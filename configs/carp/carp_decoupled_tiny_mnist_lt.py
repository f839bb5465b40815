# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CARP on MNIST with a long tail and decoupled prototypes.
_base_ = 'carp_tiny_mnist_lt.py'

model = dict(prototypes=dict(type='MixturePrototypes', init='directions'))
