# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Healthy range of each measure, and the source of the range."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Criterion:
    """One measure: how to read it and when to worry.

    Attributes:
        key (str): Key in :func:`~.measures.headline`.
        name (str): Name in tables.
        better (str): 'lower', 'higher' or '' if neither is better.
        means (str): Definition of the measure.
        healthy (str): Healthy range in words.
        source (str): Source of the range.
        watch (float, optional): Limit beyond which a value deserves a look.
        bad (float, optional): Limit beyond which a value is a collapse.
        if_watch (str): Sentence for a value beyond ``watch``.
        if_bad (str): Sentence for a value beyond ``bad``.
        collapse (str): Kind of collapse, for the title of a verdict; one of
            :data:`~.verdict.COLLAPSES`, or ''.
    """

    key: str
    name: str
    better: str
    means: str
    healthy: str
    source: str
    watch: float | None = None
    bad: float | None = None
    if_watch: str = ''
    if_bad: str = ''
    collapse: str = ''

    @property
    def healthy_range(self) -> tuple | None:
        """Lowest and highest healthy value, None where open; or None."""
        if self.watch is None:
            return None
        lower = self.better == 'lower'
        return (None, self.watch) if lower else (self.watch, None)

    def level(self, value: float) -> str | None:
        """Return 'good', 'watch' or 'bad', or None without a limit.

        Raises:
            ValueError: If the value is not finite.
        """
        if not math.isfinite(value):
            raise ValueError(f'{self.name} must be finite, got {value}.')
        if self.watch is None:
            return None
        sign = 1 if self.better == 'lower' else -1
        if self.bad is not None and sign * (value - self.bad) >= 0:
            return 'bad'
        return 'watch' if sign * (value - self.watch) >= 0 else 'good'


_TABLE = 'docs/diagnosis.md, measured on digits and MNIST'
CRITERIA = (
    Criterion(
        key='uniformity',
        name='uniformity',
        better='lower',
        means='log mean exp(-2 d²) over pairs of embeddings: 0 if all are one '
        'point.',
        healthy='below -1.5; a uniform sphere of many dimensions D has about '
        '-4 + 8 / D (-3.9 for D = 128)',
        source='Wang and Isola 2020; closed form',
        watch=-1.5,
        bad=-0.5,
        if_watch='Embeddings fill only a part of the sphere.',
        if_bad='Embeddings are nearly one point (complete collapse), or the '
        'network is untrained.',
        collapse='complete collapse',
    ),
    Criterion(
        key='weak_uniformity',
        name='uniformity',
        better='lower',
        means='log mean exp(-2 d²) over pairs: 0 if all are one point. Used '
        'for features, which are non-negative after ReLU and so fill only a '
        'part of the sphere, and for fewer than 4 dimensions.',
        healthy='below -0.5; 2 dimensions reach -1.57',
        source='Wang and Isola 2020; closed form',
        watch=-0.5,
        bad=-0.1,
        if_watch='Most vectors point in nearly the same direction.',
        if_bad='All vectors are nearly one point (complete collapse), or the '
        'network is untrained.',
        collapse='complete collapse',
    ),
    Criterion(
        key='zero_share',
        name='images without direction',
        better='lower',
        means='Share of images whose feature or embedding is exactly zero. '
        'All other measures leave them out.',
        healthy='0',
        source='closed form',
        watch=0.001,
        bad=0.5,
        if_watch='Some images are mapped to zero (dead units).',
        if_bad='Most images are mapped to zero: complete collapse.',
        collapse='complete collapse',
    ),
    Criterion(
        key='rank_share',
        name='effective rank / dimensions',
        better='higher',
        means='Effective rank as a share of the dimensions.',
        healthy='above 0.15',
        source=f'{_TABLE}; dimensional collapse: Jing et al. 2022, RankMe: '
        'Garrido et al. 2023',
        watch=0.15,
        bad=0.05,
        if_watch='Embeddings use few of their dimensions (dimensional '
        'collapse begins). Few or very similar classes look the same.',
        if_bad='Dimensional collapse: nearly all dimensions are unused.',
        collapse='dimensional collapse',
    ),
    Criterion(
        key='effective_rank',
        name='effective rank',
        better='higher',
        means='exp of the entropy of the singular values of the embeddings.',
        healthy='depends on the dimensions: see the row above',
        source='Roy and Vetterli 2007',
    ),
    Criterion(
        key='feature_rank',
        name='effective rank, features',
        better='higher',
        means='Effective rank of the backbone, before the projection.',
        healthy='no fixed range; compare checkpoints',
        source='Roy and Vetterli 2007',
    ),
    Criterion(
        key='top_axis_share',
        name='variance on the first axis',
        better='lower',
        means='Share of the variance on the first principal axis.',
        healthy='below 0.5',
        source='closed form: 1 / D where all axes are alike',
        watch=0.5,
        bad=0.9,
        if_watch='One direction carries most of the variance.',
        if_bad='Embeddings lie on a line (dimensional collapse).',
        collapse='dimensional collapse',
    ),
    Criterion(
        key='unique_share',
        name='unique prototypes',
        better='higher',
        means='Share of prototypes that are no copy of another, at a cosine '
        'distance of 0.025.',
        healthy='above 0.9',
        source='Arteaga et al. 2026: DINO 0.015, CARP 0.108, decoupled 1.0',
        watch=0.9,
        bad=0.5,
        if_watch='Some prototypes are copies of others (partial prototype '
        'collapse).',
        if_bad='Partial prototype collapse: most prototypes are copies of '
        'others, which leaves fewer targets than prototypes.',
        collapse='partial prototype collapse',
    ),
    Criterion(
        key='unique_at_epsilon',
        name='unique at --epsilon',
        better='higher',
        means='Share of unique prototypes at the given cosine distance.',
        healthy='none: it falls with the distance',
        source='Arteaga et al. 2026',
    ),
    Criterion(
        key='intra_variance',
        name='variance within prototypes',
        better='higher',
        means='Mean squared distance of embeddings to the mean of their '
        'prototype.',
        healthy='above 0.05; falls with the number of prototypes',
        source=f'{_TABLE}; coagulation: PAUC, section 3',
        watch=0.05,
        bad=0.01,
        if_watch='Members of a prototype lie close together.',
        if_bad='Coagulation: members of a prototype are nearly one point.',
        collapse='coagulated prototypes',
    ),
    Criterion(
        key='void_fraction',
        name='void fraction',
        better='lower',
        means='Share of the circle of projected embeddings with under a tenth '
        'of the samples of a uniform distribution.',
        healthy='below 0.3',
        source='PAUC, figures 1 and 2 (closed form: 0 if uniform, near 1 if a '
        'point)',
        watch=0.3,
        bad=0.7,
        if_watch='Parts of the circle are empty.',
        if_bad='Most of the circle is empty.',
        collapse='voids',
    ),
    Criterion(
        key='void_projected',
        name='void fraction, projected',
        better='lower',
        means='Void fraction after a projection onto two axes. It hides some '
        'voids and, as it is not centred, may show false ones.',
        healthy='none: see the picture',
        source='PAUC, figure 2',
    ),
    Criterion(
        key='empty_share',
        name='empty prototypes',
        better='lower',
        means='Share of prototypes that are nearest to no image.',
        healthy='below 0.1',
        source='closed form: under 0.0001 with ten images a prototype and '
        'equal sizes',
        watch=0.1,
        bad=0.5,
        if_watch='Some prototypes have no members.',
        if_bad='Most prototypes have no members.',
        collapse='unused prototypes',
    ),
    Criterion(
        key='size_entropy',
        name='evenness of sizes',
        better='higher',
        means="Entropy of the prototypes' sizes divided by its maximum.",
        healthy='above 0.8',
        source='PCL, figure 3a; closed form: 1 if equal, 0 if one has all',
        watch=0.8,
        bad=0.5,
        if_watch='Sizes of prototypes are uneven.',
        if_bad='A few prototypes hold nearly all images.',
        collapse='unused prototypes',
    ),
    Criterion(
        key='largest_share',
        name='share of the largest',
        better='lower',
        means='Share of the images in the largest prototype.',
        healthy='below 0.5',
        source='closed form: 1 / K if equal',
        watch=0.5,
        bad=0.9,
        if_watch='One prototype holds half of the images or more.',
        if_bad='One prototype holds nearly all images.',
        collapse='unused prototypes',
    ),
    Criterion(
        key='alignment',
        name='alignment',
        better='lower',
        means='Mean squared distance between two augmented views of an image.',
        healthy='below 0.7; 0 as well if everything is one point',
        source=f'Wang and Isola 2020; {_TABLE}; 2 for unrelated embeddings',
        watch=0.7,
        if_watch='Two views of an image lie far apart: the network has not '
        '(yet) learned this, or not for this augmentation.',
    ),
    Criterion(
        key='knn_above_pixels',
        name='kNN, gain on pixels',
        better='higher',
        means='Leave-one-out accuracy (k=20) of the features minus that of '
        'the images shrunk to 16 x 16 pixels.',
        healthy='above -0.01',
        source='measured here on the same images',
        watch=-0.01,
        if_watch='Features classify worse than raw pixels do.',
    ),
    Criterion(
        key='knn',
        name='kNN accuracy, k=20',
        better='higher',
        means='Leave-one-out accuracy of the features.',
        healthy='compare with pixels, above, and with other checkpoints',
        source='PCL, section 4.2',
    ),
    Criterion(
        key='adjusted_mutual_information',
        name='AMI, prototypes and labels',
        better='higher',
        means='Adjusted mutual information of assignments and labels: 0 by '
        'chance, 1 if the same.',
        healthy='no fixed range, depends on K',
        source='PCL, table 7 (ImageNet, K = 25,000: MoCo 0.285, PCL 0.410)',
    ),
    Criterion(
        key='label_information',
        name='information, prototypes',
        better='higher',
        means='Mutual information of assignments and labels, in nats.',
        healthy='no fixed range; at most the entropy of the labels',
        source='PCL, figure 3b',
    ),
    Criterion(
        key='feature_label_information',
        name='information, embeddings',
        better='higher',
        means='Estimated mutual information of embeddings and labels, in '
        'nats.',
        healthy='no fixed range; at most the entropy of the labels',
        source='PCL, figure 3b; estimator: Ross 2014',
    ),
    Criterion(
        key='nemd',
        name='NEMD, prototypes',
        better='',
        means='Mean optimal-transport distance between pairs of prototypes.',
        healthy='none: 0 is a complete collapse, and point-like prototypes '
        'spread evenly have the largest value; read it with uniformity and '
        'variance',
        source='PAUC, equation 3',
    ),
)
