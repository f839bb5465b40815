# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Twice as many epochs of InfoNCE (eq. 1) alone: 26 instead of 13.
_base_ = '../pauc_tiny_mnist.py'

default_hooks = dict(clustering=dict(warmup_epochs=26))
