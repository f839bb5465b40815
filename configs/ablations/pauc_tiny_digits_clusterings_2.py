# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# M = 2 clusterings instead of three (mean over m in eq. 7): the smallest and
# the largest K.
_base_ = '../pauc_tiny_digits.py'

model = dict(num_clusters=[25, 100])
