# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# 5,000 images of MNIST with a long tail: 1,116 of the 4,000 training images,
# 400 of the most frequent class, 8 of the rarest (400, 258, 167, 108, 70, 45,
# 29, 19, 12, 8). An epoch has 8 batches instead of 31: the same number of
# steps takes 3.9 times as many epochs. For the rest see digits_lt.py.
_base_ = './mnist.py'

train_dataloader = dict(dataset=dict(imbalance=50, imbalance_seed=0))
val_evaluator = [
    dict(type='KNNAccuracy', k=(20, 200), class_groups='train'),
    dict(type='NEMD', groups='labels'),
]
test_evaluator = val_evaluator
