# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# trainval of VOC2007 and VOC2012, evaluated on the test set of VOC2007 with
# its 11 points. The folder is data/VOCdevkit, or the environment variable
# VOC_ROOT; it holds VOC2007 and VOC2012.
_base_ = 'mmdet::_base_/datasets/voc0712.py'

data_root = """{{$VOC_ROOT:data/VOCdevkit}}"""

# mmdet repeats the data three times in an epoch and ignores boxes of fewer
# than 32 pixels; neither is in the papers.
train_dataloader = dict(
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        ignore_keys=['dataset_type'],
        datasets=[
            dict(
                type='VOCDataset',
                data_root=data_root,
                ann_file=f'VOC{year}/ImageSets/Main/trainval.txt',
                data_prefix=dict(sub_data_root=f'VOC{year}/'),
                filter_cfg=dict(filter_empty_gt=True, min_size=32),
                pipeline=_base_.train_pipeline,
            )
            for year in (2007, 2012)
        ],
    ),
)
val_dataloader = dict(
    collate_fn=dict(type='pseudo_collate'), dataset=dict(data_root=data_root)
)
test_dataloader = val_dataloader
