# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# CARP on 5,000 images of MNIST with decoupled prototypes: the means of an
# online mixture of the teacher's embeddings, which begin in random directions.
_base_ = 'carp_tiny_mnist.py'

model = dict(prototypes=dict(type='MixturePrototypes', init='directions'))
