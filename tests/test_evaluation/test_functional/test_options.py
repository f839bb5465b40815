# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What holds for several measures: samples drawn, libraries missing."""

import importlib
import sys

import pytest
import torch

from pauc_mm.evaluation import functional as measures

X = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(30) % 2


@pytest.mark.parametrize(
    'measure, module, inputs, most',
    [
        ('feature_label_information', 'mutual_information', 2, 10000),
        ('uniformity', 'uniformity', 1, None),
        ('singular_values', 'singular_values', 1, None),
        ('effective_rank', 'singular_values', 1, None),
    ],
)
def test_the_sample_is_that_of_the_options(
    monkeypatch, measure, module, inputs, most
):
    module = importlib.import_module(f'{measures.__name__}.{module}')
    drawn = []

    def subsample(values, *options):
        drawn.append(options)
        return values

    monkeypatch.setattr(module, 'subsample', subsample)
    measure = getattr(measures, measure)
    measure(*(X, LABELS)[:inputs])
    measure(*(X, LABELS)[:inputs], max_samples=7, seed=3)
    assert drawn == [(most, 0), (7, 3)]


@pytest.mark.parametrize(
    'module, package, measure',
    [
        ('sklearn.metrics', 'scikit-learn', 'adjusted_mutual_information'),
        ('sklearn.metrics', 'scikit-learn', 'group_label_information'),
        ('scipy.optimize', 'scipy', 'nemd'),
        ('faiss', 'faiss-cpu', 'knn_predict'),
    ],
)
def test_a_missing_library_is_named(monkeypatch, module, package, measure):
    importlib.import_module('ot')  # which imports scipy.optimize itself
    monkeypatch.setitem(sys.modules, module, None)
    inputs = {
        'nemd': (X, LABELS),
        'knn_predict': (X, X, LABELS, 2),
    }.get(measure, (LABELS, LABELS))
    with pytest.raises(ImportError, match=f'`{module}`.*{package}$'):
        getattr(measures, measure)(*inputs)


def test_the_fewest_that_are_allowed():
    two = torch.tensor([0, 0, 1, 1])
    assert measures.adjusted_mutual_information(two, two) == 1
    assert measures.cluster_entropy([1]) == 1
    halves = torch.tensor([[1.0, 0.1], [1.0, 0.2]])
    assert measures.void_fraction(halves.repeat(10, 1), bins=2) == 0.5
    assert measures.nemd(X, LABELS, num_members=1).min_members == 1
