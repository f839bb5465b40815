# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# The E-step takes the momentum embeddings of the augmented images of the epoch
# before; the recipe passes over the images as they are once more.
_base_ = '../pauc_tiny_digits.py'

default_hooks = dict(clustering=dict(features='momentum_bank'))
