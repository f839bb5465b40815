# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# The digits with a long tail: 559 of the 1,437 training images, 138 of the
# most frequent class, 13 of the rarest (138, 106, 82, 64, 49, 38, 29, 23, 17,
# 13). Other seeds make other digits rare, of other difficulty:
#   --cfg-options train_dataloader.dataset.imbalance_seed=1
#
# Training and the E-step are long-tailed. The bank is the whole train split,
# as the literature on long tails trains linear classifiers on balanced data
# (Jiang et al., Self-Damaging Contrastive Learning, ICML 2021). Neighbours
# then vote without a prior for frequent classes, and accuracy by group
# measures the features.
#
# An epoch has 4 batches instead of 11: the same number of steps takes 2.75
# times as many epochs.
_base_ = './digits.py'

train_dataloader = dict(dataset=dict(imbalance=10, imbalance_seed=0))
# knn/k20_head, _middle and _tail: 4, 3 and 3 classes, by their number of
# images in train_dataloader.
val_evaluator = [
    dict(type='KNNAccuracy', k=(20, 200), class_groups='train'),
    dict(type='NEMD', groups='labels'),
]
test_evaluator = val_evaluator
