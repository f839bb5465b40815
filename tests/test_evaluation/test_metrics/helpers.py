# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Samples as an Evaluator hands them to a metric."""

import torch
from mmengine.evaluator import Evaluator
from mmpretrain.structures import DataSample


def points_and_labels(num=90, num_classes=3, dim=6, spread=0.2):
    centers = 3 * torch.eye(dim)[:num_classes]
    labels = torch.arange(num) % num_classes
    return centers[labels] + spread * torch.randn(num, dim), labels


def make_samples(embeddings, features, labels=None, split=None):
    data_samples = []
    for i, (embedding, feature) in enumerate(zip(embeddings, features)):
        sample = DataSample(metainfo=dict(sample_idx=i))
        sample.embedding, sample.feature = embedding, feature
        if labels is not None:
            sample.set_gt_label(int(labels[i]))
        if split:
            sample.set_metainfo(dict(split=split))
        data_samples.append(sample)
    return data_samples


def evaluate(metrics, *batches):
    evaluator = Evaluator(metrics)
    for batch in batches:
        evaluator.process(data_samples=batch)
    return evaluator.evaluate(sum(len(batch) for batch in batches))
