# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# trainval of VOC2007 alone; see voc0712.py.
_base_ = './voc0712.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='VOCDataset',
        data_root=_base_.data_root,
        ann_file='VOC2007/ImageSets/Main/trainval.txt',
        data_prefix=dict(sub_data_root='VOC2007/'),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=_base_.train_pipeline,
    ),
)
