# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The ablations of PAUC: which there are, and what their rows are called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ablation:
    """One row of the table of ablations.

    Attributes:
        group (str): Heading of the rows that it stands with.
        label (str): What differs from PAUC's recipe, in words.
        suffix (str, optional): End of the names of its configs, see
            :meth:`config`. None for a recipe itself.
        recipe (str): 'pauc', or 'pcl' for the row without PAUC's terms.
    """

    group: str
    label: str
    suffix: str | None
    recipe: str = 'pauc'

    def config(self, data: str) -> str:
        """Its config for a data set, a path in the folder of configs.

        Args:
            data (str): 'digits' or 'mnist'.

        Returns:
            str: Such as 'ablations/pauc_tiny_digits_align.py'.
        """
        name = f'{self.recipe}_tiny_{data}'
        if self.suffix is None:
            return f'{name}.py'
        return f'ablations/{name}_{self.suffix}.py'


# In the order of the table. Numbers are the values of the config itself.
_ROWS = {
    'Terms': {
        'none': 'no term: PCL',
        'align': 'alignment alone',
        'uniform': 'uniformity alone',
        'corr': 'correlation alone',
        'align_uniform': 'alignment and uniformity',
        'align_corr': 'alignment and correlation',
        'uniform_corr': 'uniformity and correlation',
        'all': 'all three: PAUC',
    },
    'Weights': {
        'align_weight_0p1': 'alignment 0.1',
        'align_weight_10': 'alignment 10',
        'uniform_weight_0p1': 'uniformity 0.1',
        'uniform_weight_10': 'uniformity 10',
        'corr_weight_0p01': 'correlation 0.01',
        'corr_weight_1': 'correlation 1',
        'corr_weight_10': 'correlation 10',
        'weights_0p1_0p1_0p01': 'all three: 0.1, 0.1, 0.01',
        'weights_10_10_1': 'all three: 10, 10, 1',
        'weights_100_100_10': 'all three: 100, 100, 10',
    },
    'Temperature of the correlation': {
        'corr_temperature_0p03': 'T = 0.03',
        'corr_temperature_0p3': 'T = 0.3',
        'corr_temperature_1': 'T = 1',
    },
    'Prototypes of a batch': {
        'centroid_weight_0p5': 'half of the stored centroid mixed in',
        'centroid_weight_0p9': '0.9 of the stored centroid mixed in',
    },
    'Negatives of ProtoNCE': {
        'same_cluster_negatives': (
            'copies of the own prototype are negatives'
        ),
    },
    'E-step': {
        'plain_kmeans': 'plain k-means, not spherical',
        'momentum_bank': "embeddings of the last epoch's augmented images",
    },
    'Clusterings': {
        'clusterings_1': 'one, of the middle K',
        'clusterings_2': 'two, of the smallest and the largest K',
        'clusters_half': 'three, each K halved',
        'clusters_double': 'three, each K doubled',
    },
    'Warm-up': {
        'warmup_none': 'none',
        'warmup_half': 'half as long',
        'warmup_double': 'twice as long',
    },
}
# Rows that are recipes: they have no config of their own.
_RECIPES = {'none': 'pcl', 'all': 'pauc'}

ABLATIONS: dict[str, Ablation] = {
    name: Ablation(
        group,
        label,
        suffix=None if name in _RECIPES else name,
        recipe=_RECIPES.get(name, 'pauc'),
    )
    for group, rows in _ROWS.items()
    for name, label in rows.items()
}
