# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
# The digits with a long tail: 559 of the 1,437 training images, 138 of the
# most frequent class, 13 of the rarest (138, 106, 82, 64, 49, 38, 29, 23, 17,
# 13). Other seeds make other digits rare, which differ in difficulty:
#   --cfg-options train_dataloader.dataset.imbalance_seed=1
#
# Only what is trained on, in the E-step too, is long-tailed. The bank stays
# the whole train split, as a linear classifier is trained on balanced data in
# the literature on self-supervised learning from long tails (Jiang et al.,
# Self-Damaging Contrastive Learning, ICML 2021): neighbours then vote without
# a prior for frequent classes, and accuracy by group measures the features.
#
# An epoch has 4 batches instead of 11: as many steps take 2.75 times as many
# epochs.
_base_ = './digits.py'

train_dataloader = dict(dataset=dict(imbalance=10, imbalance_seed=0))
# knn/k20_head, _middle and _tail: 4, 3 and 3 classes by the images that
# train_dataloader has of them.
val_evaluator = [
    dict(type='KNNAccuracy', k=(20, 200), class_groups='train'),
    dict(type='NEMD', groups='labels'),
]
test_evaluator = val_evaluator
