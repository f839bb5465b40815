# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# scikit-learn's digits, 16x16, two augmented views for training.
# The augmentation fits handwriting: no flips, no colour.
dataset_type = 'SklearnDigits'
data_preprocessor = dict(
    type='SelfSupDataPreprocessor',
    mean=[127.5, 127.5, 127.5],
    std=[127.5, 127.5, 127.5],
)

view_pipeline = [
    dict(type='NumpyToPIL'),
    dict(
        type='torchvision/RandomAffine',
        degrees=20,
        translate=(0.1, 0.1),
        scale=(0.75, 1.2),
        shear=10,
        interpolation='bilinear',
    ),
    dict(type='PILToNumpy'),
]
train_pipeline = [
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
# One view without augmentation, for the E-step and evaluation.
test_pipeline = [dict(type='PackInputs')]

train_dataloader = dict(
    batch_size=128,
    num_workers=1,
    persistent_workers=False,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type=dataset_type, split='train', pipeline=train_pipeline),
)
bank_dataloader = dict(
    batch_size=256,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type=dataset_type, split='train', pipeline=test_pipeline),
)
val_dataloader = dict(
    batch_size=256,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type=dataset_type, split='test', pipeline=test_pipeline),
)
val_evaluator = [
    dict(type='KNNAccuracy', k=(20, 200)),
    dict(type='NEMD', groups='labels'),
]
test_dataloader = val_dataloader
test_evaluator = val_evaluator
