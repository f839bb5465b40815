# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""From figures to words: healthy ranges, and where they come from."""

from __future__ import annotations

import math
from dataclasses import dataclass

LEVELS = ('good', 'watch', 'bad')


@dataclass(frozen=True)
class Criterion:
    """One measure: how to read it and when to worry.

    Attributes:
        key (str): In :func:`pauc_mm.diagnosis.headline`.
        name (str): For tables.
        better (str): 'lower', 'higher' or '' (no direction is better).
        watch (float, optional): From here on it is worth a look.
        bad (float, optional): From here on it is a collapse.
        healthy (str): The range in words.
        source (str): Where the range comes from.
        means (str): What is measured.
        if_watch (str): What a value beyond ``watch`` says.
        if_bad (str): What a value beyond ``bad`` says.
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

    @property
    def healthy_range(self) -> tuple | None:
        """Lowest and highest healthy value, None where open; or None."""
        if self.watch is None:
            return None
        lower = self.better == 'lower'
        return (None, self.watch) if lower else (self.watch, None)

    def level(self, value: float) -> str | None:
        """'good', 'watch', 'bad', or None for what cannot be judged alone.

        Raises:
            ValueError: If the value is not finite.
        """
        if not math.isfinite(value):
            raise ValueError(f'{self.name} is {value}: it must be finite.')
        if self.watch is None:
            return None
        sign = 1 if self.better == 'lower' else -1
        if self.bad is not None and sign * (value - self.bad) >= 0:
            return 'bad'
        return 'watch' if sign * (value - self.watch) >= 0 else 'good'


_TABLE = 'docs/diagnosis.md, measured on digits and MNIST'
CRITERIA = (
    Criterion(
        'uniformity',
        'uniformity',
        'lower',
        'log mean exp(-2 d²) over pairs of embeddings: 0 if all are one '
        'point.',
        'below -1.5; a uniform sphere of many dimensions D has about '
        '-4 + 8 / D (-3.9 for D = 128)',
        'Wang and Isola 2020; closed form',
        watch=-1.5,
        bad=-0.5,
        if_watch='Embeddings fill only a part of the sphere.',
        if_bad='Embeddings are nearly one point (complete collapse), or the '
        'network is untrained.',
    ),
    Criterion(
        'weak_uniformity',
        'uniformity',
        'lower',
        'log mean exp(-2 d²) over pairs: 0 if all are one point. Of features, '
        'which are non-negative after ReLU and so fill a part of the sphere '
        'only, or of fewer than 4 dimensions.',
        'below -0.5; 2 dimensions reach -1.57',
        'Wang and Isola 2020; closed form',
        watch=-0.5,
        bad=-0.1,
        if_watch='Most vectors point in nearly the same direction.',
        if_bad='All vectors are nearly one point (complete collapse), or the '
        'network is untrained.',
    ),
    Criterion(
        'zero_share',
        'images without direction',
        'lower',
        'Share of images whose feature or embedding is exactly zero. They '
        'are left out of all other measures.',
        '0',
        'closed form',
        watch=0.001,
        bad=0.5,
        if_watch='Some images are mapped to nothing (dead units).',
        if_bad='Most images are mapped to nothing: complete collapse.',
    ),
    Criterion(
        'rank_share',
        'effective rank / dimensions',
        'higher',
        'Effective rank as a share of the dimensions there are.',
        'above 0.15',
        f'{_TABLE}; dimensional collapse: Jing et al. 2022, RankMe: Garrido '
        'et al. 2023',
        watch=0.15,
        bad=0.05,
        if_watch='Embeddings use few of their dimensions (dimensional '
        'collapse begins). Few or very similar classes look the same.',
        if_bad='Dimensional collapse: nearly all dimensions are unused.',
    ),
    Criterion(
        'effective_rank',
        'effective rank',
        'higher',
        'exp of the entropy of the singular values of the embeddings.',
        'depends on the dimensions: see the row above',
        'Roy and Vetterli 2007',
    ),
    Criterion(
        'feature_rank',
        'effective rank, features',
        'higher',
        'The same of the backbone, before the projection.',
        'no fixed range; compare checkpoints',
        'Roy and Vetterli 2007',
    ),
    Criterion(
        'top_axis_share',
        'variance on the first axis',
        'lower',
        'Share of the variance on the first principal axis.',
        'below 0.5',
        'closed form: 1 / D where all axes are alike',
        watch=0.5,
        bad=0.9,
        if_watch='One direction carries most of the variance.',
        if_bad='Embeddings lie on a line (dimensional collapse).',
    ),
    Criterion(
        'unique_share',
        'unique prototypes',
        'higher',
        'Share of prototypes that are no copy of another, at a cosine '
        'distance of 0.025.',
        'above 0.9',
        'Arteaga et al. 2026: DINO 0.015, CARP 0.108, decoupled 1.0',
        watch=0.9,
        bad=0.5,
        if_watch='Some prototypes are copies of others (partial prototype '
        'collapse).',
        if_bad='Partial prototype collapse: most prototypes are copies of '
        'others, so fewer targets are left than the number of prototypes '
        'says.',
    ),
    Criterion(
        'unique_at_epsilon',
        'unique at --epsilon',
        'higher',
        'The same at the distance that was asked for.',
        'none: the larger the distance, the fewer',
        'Arteaga et al. 2026',
    ),
    Criterion(
        'intra_variance',
        'variance within prototypes',
        'higher',
        'Mean squared distance of embeddings to the mean of their prototype.',
        'above 0.05; falls as prototypes become more',
        f'{_TABLE}; coagulation: PAUC, section 3',
        watch=0.05,
        bad=0.01,
        if_watch='Members of a prototype lie close together.',
        if_bad='Coagulation: members of a prototype are nearly one point.',
    ),
    Criterion(
        'void_fraction',
        'void fraction',
        'lower',
        'Share of the circle, onto which embeddings are projected, with '
        'under a tenth of the samples of a uniform distribution.',
        'below 0.3',
        'PAUC, figures 1 and 2 (closed form: 0 if uniform, near 1 if a point)',
        watch=0.3,
        bad=0.7,
        if_watch='Parts of the circle are empty.',
        if_bad='Most of the circle is empty.',
    ),
    Criterion(
        'void_projected',
        'void fraction, projected',
        'lower',
        'The same of the projection onto two axes, which hides voids and, '
        'not being centred, may show some that are none.',
        'none: see the picture',
        'PAUC, figure 2',
    ),
    Criterion(
        'empty_share',
        'empty prototypes',
        'lower',
        'Share of prototypes that no image is nearest to.',
        'below 0.1',
        'closed form: under 0.0001 with ten images a prototype and equal '
        'sizes',
        watch=0.1,
        bad=0.5,
        if_watch="Some prototypes are nobody's.",
        if_bad="Most prototypes are nobody's.",
    ),
    Criterion(
        'size_entropy',
        'evenness of sizes',
        'higher',
        "Entropy of the prototypes' sizes over its maximum.",
        'above 0.8',
        'PCL, figure 3a; closed form: 1 if equal, 0 if one has all',
        watch=0.8,
        bad=0.5,
        if_watch='Sizes of prototypes are uneven.',
        if_bad='A few prototypes hold nearly all images.',
    ),
    Criterion(
        'largest_share',
        'share of the largest',
        'lower',
        'Share of the images in the largest prototype.',
        'below 0.5',
        'closed form: 1 / K if equal',
        watch=0.5,
        bad=0.9,
        if_watch='One prototype holds half of the images or more.',
        if_bad='One prototype holds nearly all images.',
    ),
    Criterion(
        'alignment',
        'alignment',
        'lower',
        'Mean squared distance between two augmented views of an image.',
        'below 0.7; 0 as well if everything is one point',
        f'Wang and Isola 2020; {_TABLE}; 2 for unrelated embeddings',
        watch=0.7,
        if_watch='Two views of an image lie far apart: not (yet) learned, or '
        'not with this augmentation.',
    ),
    Criterion(
        'knn_above_pixels',
        'kNN, gain on pixels',
        'higher',
        'Leave-one-out accuracy (k=20) of the features less that of the '
        'images shrunk to 16 x 16 pixels.',
        'above -0.01',
        'measured here on the same images',
        watch=-0.01,
        if_watch='Features classify worse than raw pixels do.',
    ),
    Criterion(
        'knn',
        'kNN accuracy, k=20',
        'higher',
        'Leave-one-out, of the features.',
        'compare with pixels, above, and with other checkpoints',
        'PCL, section 4.2',
    ),
    Criterion(
        'adjusted_mutual_information',
        'AMI, prototypes and labels',
        'higher',
        'Adjusted mutual information of assignments and labels: 0 by '
        'chance, 1 if the same.',
        'no fixed range, depends on K',
        'PCL, table 7 (ImageNet, K = 25,000: MoCo 0.285, PCL 0.410)',
    ),
    Criterion(
        'label_information',
        'information, prototypes',
        'higher',
        'Mutual information of assignments and labels, in nats.',
        'no fixed range; at most the entropy of the labels',
        'PCL, figure 3b',
    ),
    Criterion(
        'feature_label_information',
        'information, embeddings',
        'higher',
        'The same of embeddings and labels, estimated.',
        'no fixed range; at most the entropy of the labels',
        'PCL, figure 3b; estimator: Ross 2014',
    ),
    Criterion(
        'nemd',
        'NEMD, prototypes',
        '',
        'Mean optimal-transport distance between pairs of prototypes.',
        'none: 0 is a complete collapse, and point-like prototypes spread '
        'evenly have the largest value; read it with uniformity and variance',
        'PAUC, equation 3',
    ),
)


@dataclass(frozen=True)
class Verdict:
    """What the figures say together.

    Attributes:
        level (str): 'good', 'watch' or 'bad'.
        title (str): A line.
        sentences (list[str]): What was found, the worst first.
    """

    level: str
    title: str
    sentences: list[str]


def judge(figures: dict[str, float]) -> Verdict:
    """Put figures into words.

    Args:
        figures (dict[str, float]): See :func:`pauc_mm.diagnosis.headline`.

    Returns:
        Verdict: Of the worst figure, with a sentence for each that is not
        good.
    """
    levels = {c: c.level(figures[c.key]) for c in CRITERIA if c.key in figures}
    sentences = []
    for level in ('bad', 'watch'):
        for criterion, found in levels.items():
            if found != level:
                continue
            text = getattr(criterion, f'if_{level}')
            value = figures[criterion.key]
            sentences.append(
                f'{text} ({criterion.name} {value:.3g}, healthy: '
                f'{criterion.healthy})'
            )
    judged = [level for level in levels.values() if level is not None]
    worst = max(judged, key=LEVELS.index)
    if worst == 'good':
        sentences.append(
            f'All {len(judged)} measures that can be judged alone are in '
            'their healthy ranges.'
        )
    if 'empty_share' not in figures:
        sentences.append(
            'Sizes of prototypes and the variance within them were not '
            'judged: that takes four prototypes or more and ten images for '
            'each.'
        )
    return Verdict(worst, _title(levels, worst), sentences)


def _title(levels: dict, worst: str) -> str:
    bad = {c.key for c, level in levels.items() if level == 'bad'}
    watch = {c.key for c, level in levels.items() if level == 'watch'}
    kinds = (
        ('uniformity', 'complete collapse'),
        ('weak_uniformity', 'complete collapse'),
        ('zero_share', 'complete collapse'),
        ('rank_share', 'dimensional collapse'),
        ('top_axis_share', 'dimensional collapse'),
        ('unique_share', 'partial prototype collapse'),
        ('empty_share', 'unused prototypes'),
        ('size_entropy', 'unused prototypes'),
        ('largest_share', 'unused prototypes'),
        ('intra_variance', 'coagulated prototypes'),
        ('void_fraction', 'voids'),
    )
    if worst == 'good':
        return 'No collapse found.'
    names = bad if worst == 'bad' else watch
    said = list(dict.fromkeys(text for key, text in kinds if key in names))
    if 'complete collapse' in said:  # the rest follows from it
        said = said[:1]
    if not said:  # other measures than those of a collapse
        return 'No collapse found, but something to look at.'
    what = ', '.join(said)
    return f'Collapsed: {what}.' if worst == 'bad' else f'Signs of {what}.'
