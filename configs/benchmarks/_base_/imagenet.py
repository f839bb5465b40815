# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Labelled ImageNet-1k: random crops of 224 pixels and flips to train, the
# centre crop out of 256 to test, as MoCo and PCL. The folder is data/imagenet,
# or IMAGENET_ROOT; it holds train and val.
_base_ = 'mmpretrain::_base_/datasets/imagenet_bs32_pil_resize.py'

data_root = """{{$IMAGENET_ROOT:data/imagenet}}"""

train_dataloader = dict(
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    dataset=dict(data_root=data_root),
)
val_dataloader = dict(
    persistent_workers=False,
    collate_fn=dict(type='default_collate'),
    dataset=dict(data_root=data_root),
)
test_dataloader = val_dataloader
