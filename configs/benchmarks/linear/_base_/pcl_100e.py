# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL (ICLR 2021), appendix E: as MoCo's, but learning rate 10. The official
# code, with which its README reports 61.5% (v1) and 67.6% (v2), has 5: add
#   --cfg-options optim_wrapper.optimizer.lr=5
_base_ = './moco_100e.py'

optim_wrapper = dict(optimizer=dict(lr=10.0))
