# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# PCL's fine-tuning on 1% of ImageNet-1k (its table 2): 8 GPUs x 32 images.
_base_ = './resnet50_8xb32-semi-pcl-20e_in1k-10percent.py'

train_dataloader = dict(dataset=dict(ann_file='meta/semi_1percent.txt'))
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'head': dict(lr_mult=100.0)})
)
