# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# default_runtime.py for the small recipes on MNIST: one log line an epoch.
_base_ = './default_runtime.py'

default_hooks = dict(checkpoint=dict(interval=13), logger=dict(interval=31))
