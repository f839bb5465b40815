# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# In ProtoNCE (PCL, eq. 11) the copies of a sample's own prototype that other
# samples of its cluster bring count as negatives, as in the official code.
_base_ = '../pauc_tiny_digits.py'

model = dict(proto_head=dict(mask_same_cluster=False))
