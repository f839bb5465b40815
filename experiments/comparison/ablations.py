# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Ablations of PAUC: a row of the table is a change of its recipe."""

from __future__ import annotations

from typing import Any

Options = dict[str, Any]
"""Changes of a config by dotted key. A mapping has a value by data set."""

_ALIGN, _UNIFORM, _CORR = (
    f'model.{term}_loss' for term in ('align', 'uniform', 'corr')
)
_ALPHA, _BETA, _GAMMA = (
    f'{term}.loss_weight' for term in (_ALIGN, _UNIFORM, _CORR)
)
_T = f'{_CORR}.temperature'
_K = 'model.num_clusters'
_E_STEP = 'default_hooks.clustering'
_WARMUP = f'{_E_STEP}.warmup_epochs'


def _weights(alpha: float, beta: float, gamma: float) -> Options:
    return {_ALPHA: alpha, _BETA: beta, _GAMMA: gamma}


# In the order of the table: heading, name, (label, options).
ABLATIONS: dict[str, dict[str, tuple[str, Options]]] = {
    # Eq. 7 without some of its terms, the alignment (eq. 4), the uniformity
    # (eq. 5) and the correlation (eq. 6). 'none' is the recipe of PCL v2.
    'Terms': {
        'none': ('no term: PCL', {}),
        'align': ('alignment alone', {_UNIFORM: None, _CORR: None}),
        'uniform': ('uniformity alone', {_ALIGN: None, _CORR: None}),
        'corr': ('correlation alone', {_ALIGN: None, _UNIFORM: None}),
        'align_uniform': ('alignment and uniformity', {_CORR: None}),
        'align_corr': ('alignment and correlation', {_UNIFORM: None}),
        'uniform_corr': ('uniformity and correlation', {_ALIGN: None}),
        'all': ('all three: PAUC', {}),
    },
    # alpha, beta and gamma of eq. 7; 1, 1 and 0.1 in the recipe.
    'Weights': {
        'align_weight_0p1': ('alignment 0.1', {_ALPHA: 0.1}),
        'align_weight_10': ('alignment 10', {_ALPHA: 10.0}),
        'uniform_weight_0p1': ('uniformity 0.1', {_BETA: 0.1}),
        'uniform_weight_10': ('uniformity 10', {_BETA: 10.0}),
        'corr_weight_0p01': ('correlation 0.01', {_GAMMA: 0.01}),
        'corr_weight_1': ('correlation 1', {_GAMMA: 1.0}),
        'corr_weight_10': ('correlation 10', {_GAMMA: 10.0}),
        'weights_0p1_0p1_0p01': (
            'all three: 0.1, 0.1, 0.01',
            _weights(0.1, 0.1, 0.01),
        ),
        'weights_10_10_1': (
            'all three: 10, 10, 1',
            _weights(10.0, 10.0, 1.0),
        ),
        'weights_100_100_10': (
            'all three: 100, 100, 10',
            _weights(100.0, 100.0, 10.0),
        ),
    },
    # Of the softmax that makes a prototype a distribution (eq. 6); 0.1.
    'Temperature of the correlation': {
        'corr_temperature_0p03': ('T = 0.03', {_T: 0.03}),
        'corr_temperature_0p3': ('T = 0.3', {_T: 0.3}),
        'corr_temperature_1': ('T = 1', {_T: 1.0}),
    },
    # The prototypes of eqs. 4 to 6; in the recipe the mean of the cluster's
    # members in the batch.
    'Prototypes of a batch': {
        'centroid_weight_0p5': (
            'half of the stored centroid mixed in',
            {'model.centroid_weight': 0.5},
        ),
        'centroid_weight_0p9': (
            '0.9 of the stored centroid mixed in',
            {'model.centroid_weight': 0.9},
        ),
    },
    # As in the official code of PCL (eq. 11).
    'Negatives of ProtoNCE': {
        'same_cluster_negatives': (
            'copies of the own prototype are negatives',
            {'model.proto_head.mask_same_cluster': False},
        ),
    },
    'E-step': {
        # As in the official code of PCL; the recipe normalises the centroids
        # after each iteration.
        'plain_kmeans': (
            'plain k-means, not spherical',
            {f'{_E_STEP}.kmeans.spherical': False},
        ),
        # The recipe embeds the images once more, not augmented.
        'momentum_bank': (
            "embeddings of the last epoch's augmented images",
            {f'{_E_STEP}.features': 'momentum_bank'},
        ),
    },
    # M and K (eq. 2); K is 25, 50, 100 on the digits, 50, 100, 250 on MNIST.
    'Clusterings': {
        'clusterings_1': (
            'one, of the middle K',
            {_K: {'digits': [50], 'mnist': [100]}},
        ),
        'clusterings_2': (
            'two, of the smallest and the largest K',
            {_K: {'digits': [25, 100], 'mnist': [50, 250]}},
        ),
        'clusters_half': (
            'three, each K halved',
            {_K: {'digits': [12, 25, 50], 'mnist': [25, 50, 125]}},
        ),
        'clusters_double': (
            'three, each K doubled',
            {_K: {'digits': [50, 100, 200], 'mnist': [100, 200, 500]}},
        ),
    },
    # Epochs of InfoNCE (eq. 1) alone; 24 on the digits, 13 on MNIST.
    'Warm-up': {
        'warmup_none': ('none', {_WARMUP: 0}),
        'warmup_half': ('half as long', {_WARMUP: {'digits': 12, 'mnist': 6}}),
        'warmup_double': (
            'twice as long',
            {_WARMUP: {'digits': 48, 'mnist': 26}},
        ),
    },
}
