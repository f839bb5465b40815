# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# No epochs of InfoNCE alone: the first E-step clusters what the untrained
# momentum encoder gives.
_base_ = '../pauc_tiny_digits.py'

default_hooks = dict(clustering=dict(warmup_epochs=0))
