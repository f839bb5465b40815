# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Fashion-MNIST, 28x28: 10,000 of its training images (fraction=None: all
# 60,000), and the official 10,000 for testing. Where its four IDX files are:
#   FASHION_MNIST_ROOT   Debian's folder by default
#                        (apt-get install dataset-fashion-mnist)
_base_ = './digits.py'

dataset_type = 'IdxFashionMNIST'
data_root = """{{$FASHION_MNIST_ROOT:/usr/share/datasets/fashion-mnist}}"""
fraction = 1 / 6

# Clothes are not turned, but mirrored, cropped and lit in many ways.
view_pipeline = [
    dict(type='NumpyToPIL'),
    dict(
        type='torchvision/RandomResizedCrop',
        size=28,
        scale=(0.3, 1.0),
        interpolation='bilinear',
    ),
    dict(type='torchvision/RandomHorizontalFlip'),
    dict(type='torchvision/ColorJitter', brightness=0.4, contrast=0.4),
    dict(type='PILToNumpy'),
]
train_pipeline = [
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]

train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        fraction=fraction,
        pipeline=train_pipeline,
    )
)
bank_dataloader = dict(
    dataset=dict(type=dataset_type, data_root=data_root, fraction=fraction)
)
val_dataloader = dict(dataset=dict(type=dataset_type, data_root=data_root))
val_cfg = dict(bank_dataloader=bank_dataloader)
test_dataloader = val_dataloader
test_cfg = dict(bank_dataloader=bank_dataloader)
