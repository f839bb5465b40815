# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL's detection with a frozen body (its table 5): 4 GPUs x 2 images.
_base_ = [
    './_base_/faster-rcnn_r50_fpn_frozen.py',
    './_base_/voc0712.py',
    './_base_/schedule_15e.py',
    './_base_/runtime.py',
]
