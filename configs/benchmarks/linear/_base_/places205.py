# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# Places205 as it is distributed: imagesPlaces205_resize.tar.gz and
# trainvalsplit_places205.tar.gz, both unpacked in one folder, data/places205
# or PLACES_ROOT. The lists have lines "path label".
_base_ = '../../_base_/imagenet.py'

data_root = """{{$PLACES_ROOT:data/places205}}"""
images = 'data/vision/torralba/deeplearning/images256'
lists = 'trainvalsplit_places205'

data_preprocessor = dict(num_classes=205)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='Places205',
        data_root=data_root,
        data_prefix=images,
        ann_file=f'{lists}/train_places205.csv',
        pipeline=_base_.train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='Places205',
        data_root=data_root,
        data_prefix=images,
        ann_file=f'{lists}/val_places205.csv',
        pipeline=_base_.test_pipeline,
    ),
)
test_dataloader = val_dataloader
