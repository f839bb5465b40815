# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Half as many epochs of InfoNCE (eq. 1) alone: 12 instead of 24.
_base_ = '../pauc_tiny_digits.py'

default_hooks = dict(clustering=dict(warmup_epochs=12))
