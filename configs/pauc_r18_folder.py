# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# A short path to configs/pauc/pauc_r18_folder.py.
_base_ = 'pauc/pauc_r18_folder.py'
