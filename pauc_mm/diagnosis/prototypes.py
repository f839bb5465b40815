# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measure the prototypes of checkpoints alone: no images, no backbone."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from pauc_mm.checkpoints import Checkpoint
from pauc_mm.checkpoints.file import State
from pauc_mm.evaluation.functional import (
    CURVE_EPSILONS,
    copied_prototypes,
    koleo,
    singular_values,
    unique_mask,
)
from pauc_mm.evaluation.functional.checks import as_unit_vectors
from pauc_mm.evaluation.functional.spectral import rank_of_spectrum
from pauc_mm.utils import progress
from pauc_mm.utils.checks import listed
from pauc_mm.utils.device import pick_device
from pauc_mm.version import __version__
from pauc_mm.visualization import (
    plot_epoch_curves,
    plot_spectra,
    plot_unique_curves,
)

from .comparison import run_epochs, short_names
from .criteria import CRITERIA
from .figures import picture
from .measures import EPSILONS
from .report import inline_pictures, render, write_pair

PUBLISHED = (
    ('DINO', 'DINO ResNet-50', 60_000, 908),
    ('DINO', 'DINO-vMF ViT-B/16', 65_536, 939),
    ('iBOT', 'iBOT ViT-L/16', 8_192, 969),
    ('CAPI', 'CAPI', 16_384, 16_383),
    ('CARP', 'CARP', 65_536, 7_052),
    ('CARP', 'decoupled CARP', 65_536, 65_536),
)
"""Project, model, K and unique prototypes at a cosine distance of 0.025, from
https://arxiv.org/abs/2410.14060 and https://arxiv.org/abs/2510.20108."""

CURVES = {
    'share unique at 0.025': 'unique_share',
    'KoLeo': 'koleo',
    'effective rank': 'effective_rank',
}
MAX_GROUPS = 10
MAX_MEMBERS = 8
MAX_CURVES = 10


def published_counts(layout: str, number: int) -> list[dict]:
    """Return the published counts of a project with K = ``number``.

    Those of all projects for a matrix alone, which tells no project.
    """
    words = layout.lower().split()
    return [
        dict(model=model, unique=unique, prototypes=k)
        for project, model, k, unique in PUBLISHED
        if k == number
        if project.lower() in words or layout == 'prototypes alone'
    ]


def measure_prototypes(prototypes: Tensor, name: str = 'prototypes') -> dict:
    """Measure the directions of one set of prototypes, on its device.

    The spectrum is that of the centred ones, since an offset that all share
    leaves a softmax over them as it is. They have the shape (K, D), and
    ``name`` is that of the set, for messages.

    Returns:
        dict: Ready for JSON. ``unique`` has how many are unique by cosine
        distance. ``groups`` are the largest groups of copies at 0.025, with
        their size, the index of the first and of some members.

    Raises:
        ValueError: If there is one prototype, or one is not finite or zero.
    """
    number, dimension = prototypes.shape
    if number < 2:
        raise ValueError(f'{name} are {number}: there is nothing to compare.')
    directions = as_unit_vectors(prototypes, name)
    track = partial(progress, description=f'Comparing {name}')
    masks = unique_mask(directions, CURVE_EPSILONS, track=track)
    counts = dict(zip(CURVE_EPSILONS, masks.sum(dim=1).tolist()))
    kept = masks[CURVE_EPSILONS.index(EPSILONS[0])]
    copied = copied_prototypes(directions, kept, EPSILONS[0])
    sizes = torch.bincount(copied, minlength=number)
    largest = sizes.argsort(descending=True, stable=True)[:MAX_GROUPS]
    spectrum = singular_values(directions)
    return dict(
        num_prototypes=number,
        dimension=dimension,
        unique={f'{e:g}': counts[e] for e in EPSILONS},
        unique_share=counts[EPSILONS[0]] / number,
        unique_curve=dict(
            epsilons=list(counts),
            shares=[count / number for count in counts.values()],
        ),
        koleo=koleo(directions, name),
        effective_rank=rank_of_spectrum(spectrum),
        spectrum=spectrum.tolist(),
        num_groups=int((sizes > 1).sum()),
        groups=[
            dict(
                size=int(sizes[first]),
                first=first,
                members=(copied == first).nonzero()[:MAX_MEMBERS, 0].tolist(),
            )
            for first in largest.tolist()
            if sizes[first] > 1
        ],
    )


def report_prototypes(
    files: Sequence[str],
    out: str | Path,
    momentum: bool = False,
    device: str = 'auto',
    trust: bool = False,
) -> dict:
    """Measure all sets of prototypes in files, and write a page.

    The files are checkpoints, heads or matrices, and their options those of
    :class:`~pauc_mm.checkpoints.Checkpoint`. ``out`` is the folder for
    prototypes.html, prototypes.json, whose content is returned, and pictures.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a file is named twice, is no checkpoint or has no
            prototypes, or they cannot be measured.
    """
    device = pick_device(device)
    out = Path(out)
    names = short_names(files, least=1)
    # All are opened first: a wrong one ends the program before the work.
    opened = [_open(file, momentum, trust) for file in files]
    sets = [
        dict(
            checkpoint=name,
            name=title,
            **about,
            published=published_counts(about['layout'], len(rows)),
            **measure_prototypes(rows.to(device), title),
        )
        for name, (about, found) in zip(names, opened)
        for title, rows in found.items()
    ]
    out.mkdir(parents=True, exist_ok=True)
    criterion = next(c for c in CRITERIA if c.key == 'unique_share')
    report = dict(
        sets=sets,
        pictures=_draw(sets, files, out),
        versions=dict(pauc_mm=__version__, torch=torch.__version__),
    )
    page = render(
        'prototypes.html',
        report=report,
        levels=[criterion.level(s['unique_share']) for s in sets],
        epsilon=EPSILONS[0],
        pictures=inline_pictures(report['pictures'], out),
    )
    write_pair(out, 'prototypes', report, page)
    return report


def _draw(sets: list[dict], files: Sequence[str], out: Path) -> list[dict]:
    """Draw the curves, and the epochs of one run if the files are that."""
    shown = {f'{s["checkpoint"]}, {s["name"]}': s for s in sets[:MAX_CURVES]}
    first = f' The first {MAX_CURVES} sets.' * (len(sets) > MAX_CURVES)
    pictures = []
    by_size = sorted(sets, key=lambda s: s['num_prototypes'])
    largest = {s['checkpoint']: s for s in by_size}.values()
    if len(files) > 1 and run_epochs(files, list(largest)):
        runs = sorted(largest, key=lambda s: s['epoch'])
        epochs = [s['epoch'] for s in runs]
        curves = {
            title: {'run': (epochs, [s[key] for s in runs])}
            for title, key in CURVES.items()
        }
        path = plot_epoch_curves(curves, out / 'epochs.png', 'Prototypes')
        caption = 'Epochs of one run; the largest set of each file.'
        pictures.append(picture(path, 'Over the epochs', caption))
    path = plot_unique_curves(
        {name: tuple(s['unique_curve'].values()) for name, s in shown.items()},
        out / 'unique_prototypes.png',
        references=True,
    )
    caption = (
        'Share of prototypes that are no copy of another, against the cosine '
        f'distance below which one counts as a copy.{first}'
    )
    pictures.append(picture(path, 'Unique prototypes', caption))
    # A single point has no spectrum.
    shown = {name: s for name, s in shown.items() if s['spectrum'][0] > 0}
    if shown:
        path = plot_spectra(
            {name: s['spectrum'] for name, s in shown.items()},
            out / 'spectra.png',
            'Singular values of the prototypes',
            {name: s['effective_rank'] for name, s in shown.items()},
        )
        caption = (
            'Singular values of the centred, l2-normalised prototypes, '
            f'relative to the largest.{first}'
        )
        pictures.append(picture(path, 'Spectra', caption))
    return pictures


def _open(file: str, momentum: bool, trust: bool) -> tuple[dict, State]:
    """Read the prototypes of a file, and what to say of it."""
    opened = Checkpoint.open(file, trust=trust)
    found = opened.prototypes(momentum)
    layout = opened.layout.name
    if not found:
        raise ValueError(
            f"'{file}' ({layout}) has no prototypes (a matrix K x D): its "
            f'{len(opened.weights)} keys are {listed(opened.weights)}. Was it '
            'saved without its head?'
        )
    notes = list(opened.notes)
    if few := [name for name, v in found.items() if len(v) < v.shape[1]]:
        notes.append(
            f'Fewer prototypes than dimensions: {", ".join(few)}. Rows are '
            'prototypes: a matrix that is stored D x K must be transposed.'
        )
    return dict(layout=layout, epoch=opened.epoch, notes=notes), found
