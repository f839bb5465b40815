# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# A short path to configs/pauc/pauc_tiny_digits.py.
_base_ = 'pauc/pauc_tiny_digits.py'
