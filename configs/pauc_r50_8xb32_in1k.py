# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# A short path to configs/pauc/pauc_r50_8xb32_in1k.py.
_base_ = 'pauc/pauc_r50_8xb32_in1k.py'
