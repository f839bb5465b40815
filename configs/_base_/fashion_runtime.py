# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# default_runtime.py for the small recipes on Fashion-MNIST: one log line an
# epoch.
_base_ = './default_runtime.py'

default_hooks = dict(checkpoint=dict(interval=10), logger=dict(interval=78))
