# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# The prototypes of eqs. 4 to 6 mix 0.9 of the stored centroid into the mean of
# the cluster's members in the batch.
_base_ = '../pauc_tiny_digits.py'

model = dict(centroid_weight=0.9)
