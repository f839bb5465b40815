# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Several checkpoints side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from .diagnose import diagnose
from .report import criteria_rows, inline_pictures, render, write_pair
from .verdict import CRITERIA

# Panels of the curves; the table has all.
CURVES = (
    ('uniformity', 'uniformity'),
    ('weak_uniformity', 'uniformity, features'),
    ('effective_rank', 'effective rank'),
    ('unique_share', 'unique prototypes'),
    ('intra_variance', 'variance within prototypes'),
    ('nemd', 'NEMD, prototypes'),
    ('void_fraction', 'void fraction'),
    ('void_projected', 'void fraction, projected'),
    ('alignment', 'alignment'),
    ('knn', 'kNN accuracy, k=20'),
    ('adjusted_mutual_information', 'AMI, prototypes and labels'),
)


def compare(checkpoints: Sequence[str], out: str | Path, **options) -> Path:
    """Diagnose several checkpoints on the same images and compare them.

    Each gets its own report below ``out``. If they are epochs of one run
    (different epochs, one folder) the measures are drawn over the epochs.

    Args:
        checkpoints (sequence of str): Two files or more.
        out (str or Path): Folder for compare.html, compare.json and the
            reports.
        **options: Of :func:`diagnose`, for all of them.

    Returns:
        Path: compare.html.

    Raises:
        ValueError: If there are fewer than two, or one is named twice.
        FileNotFoundError: If one does not exist.
    """
    names = short_names(checkpoints)
    out = Path(out)
    folders = [out / name.replace(os.sep, '_') for name in names]
    reports = []
    for checkpoint, name, folder in zip(checkpoints, names, folders):
        print(f'{name} ...', flush=True)
        reports.append(diagnose(checkpoint, folder, name=name, **options))
    sizes = {report['images'] for report in reports}
    if len(sizes) > 1:
        raise ValueError(
            f'The checkpoints were measured on different images ({sizes}); '
            'name one folder with --data.'
        )
    pictures = _draw(reports, run_epochs(checkpoints, reports), out)
    page = render(
        'compare.html',
        reports=reports,
        links=[quote(f'{folder.name}/report.html') for folder in folders],
        rows=criteria_rows([report['headline'] for report in reports]),
        pictures=inline_pictures(pictures, out),
    )
    keys = ('checkpoint', 'layout', 'epoch', 'verdict', 'headline')
    content = dict(
        images=reports[0]['images'],
        settings=reports[0]['settings'],
        checkpoints=[{key: r[key] for key in keys} for r in reports],
        pictures=pictures,
    )
    return write_pair(out, 'compare', content, page)


def short_names(checkpoints: Sequence[str]) -> list[str]:
    """As much of the end of each path as tells them apart.

    Raises:
        ValueError: If there are fewer than two, or one is named twice.
        FileNotFoundError: If one does not exist.
    """
    paths = [Path(checkpoint).absolute() for checkpoint in checkpoints]
    files = [path.resolve() for path in paths]  # links followed
    if len(paths) < 2:
        raise ValueError(
            f'--compare needs two checkpoints or more, got {len(paths)}.'
        )
    for given, file in zip(checkpoints, files):
        if not file.is_file():
            raise FileNotFoundError(f'There is no checkpoint {given}.')
        if files.count(file) > 1:
            raise ValueError(f'--compare got {given} twice.')
    # With suffixes only where nothing else tells two files apart.
    stems = [path.with_suffix('').parts for path in paths]
    parts = (
        stems if len(set(stems)) == len(stems) else [p.parts for p in paths]
    )
    for depth in range(1, max(map(len, parts)) + 1):
        names = [os.sep.join(part[-depth:]) for part in parts]
        # Folders are named after them, with _ for the separator.
        if len({name.replace(os.sep, '_') for name in names}) == len(names):
            return names
    return [f'{i}_{name}' for i, name in enumerate(names, 1)]


def run_epochs(
    checkpoints: Sequence[str], reports: list[dict]
) -> list[int] | None:
    """The epochs, if the checkpoints are epochs of one run, else None."""
    epochs = [report['epoch'] for report in reports]
    folders = {Path(checkpoint).resolve().parent for checkpoint in checkpoints}
    layouts = {report['layout'] for report in reports}
    one_run = (
        len(folders) == len(layouts) == 1
        and None not in epochs
        and len(set(epochs)) == len(epochs)
    )
    return epochs if one_run else None


def _draw(
    reports: list[dict], epochs: list[int] | None, out: Path
) -> list[dict]:
    from pauc_mm.visualization import (
        plot_comparison,
        plot_epoch_curves,
        plot_spectra,
        plot_unique_curves,
    )

    names = [report['checkpoint'] for report in reports]
    values = {
        title: {
            name: report['headline'][key]
            for name, report in zip(names, reports)
            if key in report['headline']
        }
        for key, title in CURVES
    }
    values = {title: found for title, found in values.items() if found}
    by_key = {criterion.key: criterion for criterion in CRITERIA}
    ranges = {
        title: by_key[key].healthy_range
        for key, title in CURVES
        if title in values and by_key[key].healthy_range
    }
    pictures = []

    def add(file: str, title: str, caption: str) -> Path:
        pictures.append(dict(file=file, title=title, caption=caption))
        return out / file

    if epochs is None:
        path = add(
            'measures.png',
            'The measures',
            'One panel a measure; the healthy range is shaded.',
        )
        plot_comparison(values, path, ranges=ranges)
    else:
        order = sorted(range(len(epochs)), key=epochs.__getitem__)
        curves = {
            title: {
                'run': (
                    [epochs[i] for i in order if names[i] in found],
                    [found[names[i]] for i in order if names[i] in found],
                )
            }
            for title, found in values.items()
        }
        path = add(
            'measures.png',
            'The measures over the epochs',
            'Epochs of one run; the healthy range is shaded.',
        )
        plot_epoch_curves(curves, path, ranges=ranges)
    space = 'embedding'
    if any('embedding' not in r['measures']['spaces'] for r in reports):
        space = 'feature'
    spectra = {
        name: report['measures']['spaces'][space]['spectrum']
        for name, report in zip(names, reports)
    }
    # One point has no spectrum.
    spectra = {name: s for name, s in spectra.items() if s[0] > 0}
    if spectra:
        path = add(
            'spectra.png',
            f'Spectra ({space})',
            'Singular values relative to the largest.',
        )
        plot_spectra(spectra, path)
    path = add(
        'unique_prototypes.png',
        'Unique prototypes',
        'Of the largest set of each.',
    )
    plot_unique_curves(
        {name: _largest_curve(report) for name, report in zip(names, reports)},
        path,
        references=True,
    )
    return pictures


def _largest_curve(report: dict) -> tuple[list[float], list[float]]:
    sets = report['measures']['clusterings']
    chosen = max(sets, key=lambda c: (c['own'], c['num_prototypes']))
    curve = chosen['unique_curve']
    return curve['epsilons'], curve['shares']
