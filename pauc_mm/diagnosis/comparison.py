# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Compare several checkpoints."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from pauc_mm.checkpoints.file import checkpoint_file
from pauc_mm.visualization import (
    plot_comparison,
    plot_epoch_curves,
    plot_spectra,
    plot_unique_curves,
)

from .criteria import CRITERIA
from .diagnose import diagnose
from .figures import picture
from .options import DiagnosisOptions
from .report import criteria_rows, inline_pictures, render, write_pair

# Panels of the curves; the table has all measures.
CURVES = {
    'uniformity': 'uniformity',
    'weak_uniformity': 'uniformity, features',
    'effective_rank': 'effective rank',
    'unique_share': 'unique prototypes',
    'intra_variance': 'variance within prototypes',
    'nemd': 'NEMD, prototypes',
    'void_fraction': 'void fraction',
    'void_projected': 'void fraction, projected',
    'alignment': 'alignment',
    'knn': 'kNN accuracy, k=20',
    'adjusted_mutual_information': 'AMI, prototypes and labels',
}


def compare(
    checkpoints: Sequence[str],
    out: str | Path,
    options: DiagnosisOptions | None = None,
) -> Path:
    """Diagnose several checkpoints on the same images and compare them.

    Each gets its own report below ``out``. If they are epochs of one run
    (different epochs, one folder) the measures are drawn over the epochs.

    Args:
        checkpoints (sequence of str): Two files or more.
        out (str or Path): Folder for compare.html, compare.json and the
            reports.
        options (DiagnosisOptions, optional): Options of each diagnosis.

    Returns:
        Path: compare.html.

    Raises:
        ValueError: If there are fewer than two, one is named twice, or their
            images differ.
        FileNotFoundError: If one does not exist.
    """
    names = short_names(checkpoints)
    out = Path(out)
    folders = [out / name.replace(os.sep, '_') for name in names]
    reports = []
    for checkpoint, name, folder in zip(checkpoints, names, folders):
        print(f'{name} ...', flush=True)
        reports.append(diagnose(checkpoint, folder, options, name))
    images = {report['images'] for report in reports}
    if len(images) > 1:
        raise ValueError(
            f'--compare needs the same images for all checkpoints, got '
            f'{images}: name one folder with --data.'
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


def short_names(checkpoints: Sequence[str], least: int = 2) -> list[str]:
    """Shorten each path to the last parts that distinguish it.

    Raises:
        ValueError: If there are fewer than ``least``, or one is named twice.
        FileNotFoundError: If one does not exist.
    """
    paths = [Path(checkpoint).absolute() for checkpoint in checkpoints]
    files = [checkpoint_file(path).resolve() for path in paths]
    if len(paths) < least:
        raise ValueError(
            f'--compare needs at least {least} checkpoints, got {len(paths)}.'
        )
    for checkpoint, file in zip(checkpoints, files):
        if not file.is_file():
            raise FileNotFoundError(f'There is no checkpoint {checkpoint}.')
        if files.count(file) > 1:
            raise ValueError(f'{checkpoint} is named twice.')
    # Suffixes only where two files differ in nothing else.
    parts = [path.with_suffix('').parts for path in paths]
    if len(set(parts)) < len(parts):
        parts = [path.parts for path in paths]
    for depth in range(1, max(map(len, parts)) + 1):
        names = [os.sep.join(part[-depth:]) for part in parts]
        # Folders are named after them, with _ for the separator.
        if len({name.replace(os.sep, '_') for name in names}) == len(names):
            return names
    return [f'{i}_{name}' for i, name in enumerate(names, 1)]


def run_epochs(
    checkpoints: Sequence[str], reports: list[dict]
) -> list[int] | None:
    """Return the epochs if the checkpoints are of one run, else None."""
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
    names = [report['checkpoint'] for report in reports]
    values = {}
    for key, title in CURVES.items():
        by_name = {
            name: report['headline'][key]
            for name, report in zip(names, reports)
            if key in report['headline']
        }
        if by_name:
            values[title] = by_name
    limits = {CURVES.get(c.key): c.healthy_range for c in CRITERIA}
    ranges = {title: limits[title] for title in values if limits[title]}
    path = out / 'measures.png'
    shaded = 'the healthy range is shaded.'
    if epochs is None:
        plot_comparison(values, path, ranges=ranges)
        caption = f'One panel a measure; {shaded}'
        pictures = [picture(path, 'The measures', caption)]
    else:
        by_epoch = sorted(zip(epochs, names))
        curves = {}
        for title, value in values.items():
            points = [
                (e, value[name]) for e, name in by_epoch if name in value
            ]
            curves[title] = {'run': tuple(map(list, zip(*points)))}
        plot_epoch_curves(curves, path, ranges=ranges)
        title = 'The measures over the epochs'
        pictures = [picture(path, title, f'Epochs of one run; {shaded}')]
    spaces = [report['measures']['spaces'] for report in reports]
    space = 'embedding' if all('embedding' in s for s in spaces) else 'feature'
    spectra = {n: s[space]['spectrum'] for n, s in zip(names, spaces)}
    # A single point has no spectrum.
    spectra = {name: s for name, s in spectra.items() if s[0] > 0}
    if spectra:
        path = plot_spectra(spectra, out / 'spectra.png')
        caption = 'Singular values relative to the largest.'
        pictures.append(picture(path, f'Spectra ({space})', caption))
    unique = {}
    for name, report in zip(names, reports):
        sets = report['measures']['clusterings']
        largest = max(sets, key=lambda c: (c['own'], c['num_prototypes']))
        curve = largest['unique_curve']
        unique[name] = curve['epsilons'], curve['shares']
    path = out / 'unique_prototypes.png'
    plot_unique_curves(unique, path, references=True)
    caption = 'Largest set of prototypes of each checkpoint.'
    pictures.append(picture(path, 'Unique prototypes', caption))
    return pictures
