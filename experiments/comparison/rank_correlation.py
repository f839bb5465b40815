# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Rank correlation of label-free measures with accuracies, over runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np
from scipy.stats import kendalltau, spearmanr

from experiments.runner import RunResult
from experiments.runner.result import provenance_lines
from pauc_mm.utils.tables import MISSING, markdown_table

from .settings import SUITES

ACCURACIES = {'kNN': 'accuracy/knn', 'linear': 'accuracy/linear'}
# Fewer runs of a method have no order to speak of.
_LEAST = 4


@dataclass(frozen=True)
class Measure:
    """A row of the table.

    Attributes:
        title (str): Name.
        key (str): Metric of a run.
        score (callable): Larger where the source calls the model better.
    """

    title: str
    key: str
    score: Callable[[float], float] = float


def _lower(value: float) -> float:
    return -value


_SPACE = (
    ('uniformity', 'uniformity', _lower),
    ('effective rank', 'effective_rank', float),
    ('RankMe', 'rankme', float),
    ('stable rank', 'stable_rank', float),
    ('NESum', 'nesum', float),
    ('alpha-ReQ, nearness to 1', 'alpha_req', lambda a: -abs(a - 1)),
    ('KoLeo', 'koleo', _lower),
    ('CLID: learnability', 'cluster_learnability', float),
    ('CLID: dimension', 'intrinsic_dimension', float),
)
MEASURES = (
    *(
        Measure(f'{title} ({space})', f'{space}/{key}', score)
        for space in ('embedding', 'feature')
        for title, key, score in _SPACE
    ),
    Measure('LiDAR (embedding)', 'views/lidar_embedding'),
    Measure('LiDAR (feature)', 'views/lidar_feature'),
    Measure('alignment (embedding)', 'views/alignment', _lower),
    Measure('KoLeo, own prototypes', 'prototypes/koleo', _lower),
    Measure('unique at 0.025, own prototypes', 'prototypes/unique'),
    Measure('agreement of views, own prototypes', 'prototypes/view_agreement'),
    # What docs/results.json has of every run, of held-out images.
    Measure('uniformity (embedding)', 'nemd_clusters/uniformity', _lower),
    Measure('effective rank (embedding)', 'nemd_clusters/effective_rank'),
    Measure('NEMD, clusters', 'nemd_clusters/value'),
    Measure('variance within clusters', 'nemd_clusters/intra_variance'),
    Measure('evenness of clusters', 'nemd_clusters/group_entropy'),
    Measure('unique at 0.25, k-means', 'prototypes/unique_0.25'),
    Measure('unique at 0.5, k-means', 'prototypes/unique_0.5'),
    Measure('unique at 0.025, own', 'prototypes/own_unique_0.025'),
    Measure('unique at 0.5, own', 'prototypes/own_unique_0.5'),
    Measure('in use, own', 'prototypes/own_used'),
)


def correlation_table(results: Sequence[RunResult]) -> str:
    """Tabulate the correlations over the runs of one data set.

    The last column is the mean over methods of Spearman's rho of its own
    runs, rates and seeds; methods with fewer than four are left out.
    """
    rows = []
    for title, scores in _scores(results).items():
        if len(scores) < _LEAST:
            continue
        cells = []
        for key in ACCURACIES.values():
            pairs = [(s, results[i].metrics[key]) for i, s in scores.items()]
            cells += [_text(spearmanr, pairs), _text(kendalltau, pairs)]
        methods: dict[str, list] = {}
        for i, score in scores.items():
            pair = score, results[i].metrics[ACCURACIES['kNN']]
            methods.setdefault(results[i].setting['method'], []).append(pair)
        within = [
            rho
            for pairs in methods.values()
            if len(pairs) >= _LEAST
            and (rho := _correlation(spearmanr, pairs)) is not None
        ]
        text = f'{mean(within):+.2f} ({len(within)})' if within else MISSING
        rows.append([title, str(len(scores)), *cells, text])
    header = [f'{a} {s}' for a in ACCURACIES for s in ('rho', 'tau')]
    return markdown_table(
        ['measure', 'runs', *header, 'kNN rho within methods'], rows
    )


def _scores(
    results: Sequence[RunResult],
) -> Mapping[str, Mapping[int, float]]:
    """Return the score of each run that has one, by title and index."""
    table = {}
    for measure in MEASURES:
        found = {
            i: measure.score(value)
            for i, result in enumerate(results)
            if (value := result.metrics.get(measure.key)) is not None
        }
        if found:
            table[measure.title] = found
    for space in ('embedding', 'feature'):
        parts = [
            table.get(f'CLID: {part} ({space})', {})
            for part in ('learnability', 'dimension')
        ]
        both = sorted(set(parts[0]) & set(parts[1]))
        if len(both) < _LEAST:
            continue
        columns = np.array([[part[i] for i in both] for part in parts])
        columns -= columns.mean(axis=1, keepdims=True)
        columns /= columns.std(axis=1, keepdims=True)
        table[f'CLID ({space})'] = dict(zip(both, columns.sum(axis=0)))
    return table


def _correlation(function: Callable, pairs: Sequence) -> float | None:
    """Return the correlation; None where all have one value."""
    x, y = zip(*pairs)
    if len(set(x)) == 1 or len(set(y)) == 1:
        return None
    return float(function(x, y).statistic)


def _text(function: Callable, pairs: Sequence) -> str:
    value = _correlation(function, pairs)
    return MISSING if value is None else f'{value:+.2f}'


def correlation_report(
    results: Sequence[RunResult],
    published: Sequence[RunResult],
    command: str,
    missing: Sequence[str] = (),
) -> str:
    """Write the tables of trained and of published runs."""
    parts = [
        '# Which measures rank models as labels do?',
        "Spearman's rho and Kendall's tau over runs of all methods, learning "
        'rates and seeds of one data set, of a measure that needs no label '
        'and the accuracy of frozen features on held-out images. A measure '
        'has the sign that its source calls better, so +1 is the order of '
        'the labels. NEMD has no such sign and is taken as it is. Chance '
        'alone gives a rho of about ± 1 / sqrt(runs - 1).',
    ]
    for title, group in (
        ('Runs trained for this', results),
        ('Published runs, full length', published),
    ):
        by_data: dict[str, list[RunResult]] = {}
        for result in group:
            if not result.diverged:
                by_data.setdefault(result.setting['data'], []).append(result)
        for data, runs in by_data.items():
            epochs = sorted({run.epochs for run in runs})
            parts += [
                f'## {title}: {SUITES["small"].data[data].label}, '
                f'{len(runs)} runs of {", ".join(map(str, epochs))} epochs',
                correlation_table(runs),
            ]
    if missing:
        lines = '\n'.join(f'- {line}' for line in missing)
        parts += ['## Not in the tables', lines]
    provenance = '\n'.join(provenance_lines(results or published))
    parts += ['## Provenance', f'```bash\n{command}\n```', provenance]
    return '\n\n'.join(parts) + '\n'
