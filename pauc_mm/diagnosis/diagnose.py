# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Diagnose a checkpoint on images and write a report."""

import hashlib
import json
from pathlib import Path

import torch

from pauc_mm.checkpoints import Checkpoint
from pauc_mm.embedding.embedded_images import (
    drop_zeros,
    embed_all,
    note_copies,
)
from pauc_mm.embedding.images import find_images
from pauc_mm.embedding.preprocessing import describe_input
from pauc_mm.utils.device import pick_device
from pauc_mm.version import __version__

from .clusterings import check_num_clusters, find_clusterings
from .figures import draw_all
from .measures import headline, measure
from .options import DiagnosisOptions
from .report import write_report
from .verdict import judge


def diagnose(
    checkpoint: str,
    out: str | Path,
    options: DiagnosisOptions | None = None,
    name: str | None = None,
) -> dict:
    """Diagnose one checkpoint and write its report.

    An existing report of the same file, images and options is returned
    unchanged. Embeddings are reused if only options of the measures differ.

    Args:
        checkpoint (str): File in a layout that
            :class:`~pauc_mm.checkpoints.Checkpoint` knows.
        out (str or Path): Folder for report.html, report.json and pictures.
        options (DiagnosisOptions, optional): Defaults to those of the class.
        name (str, optional): Name for titles. Defaults to the file's.

    Returns:
        dict: Content of report.json.

    Raises:
        ValueError: If ``out`` is a file, or an option does not fit the
            images or this machine.
        RuntimeError: If the network's output is not finite.
    """
    options = options or DiagnosisOptions()
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise ValueError(f'--out must be a folder, got the file {out}.')
    device = pick_device(options.device)
    opened = Checkpoint.open(
        checkpoint, options.config, options.trust_checkpoint
    )
    encoder = opened.encoder(options.momentum)
    source = find_images(
        encoder,
        options.data,
        options.labels,
        options.image_size,
        options.max_images,
        options.corrupt,
        options.seed,
    )
    check_num_clusters(options.clusters, len(source))
    config = encoder.config
    if config is not None:
        config = hashlib.sha256(repr(config.to_dict()).encode()).hexdigest()
    file = Path(opened.path)
    stat = file.stat()
    stamp = [
        __version__,
        str(file.resolve()),
        stat.st_size,
        stat.st_mtime_ns,
        config,
        json.dumps(describe_input(encoder, source)),
        source.fingerprint(),
    ]
    settings = options.settings()
    if previous := _previous(out, stamp, settings):
        return previous
    images = embed_all(
        encoder,
        source,
        options.batch_size,
        options.workers,
        device,
        options.seed,
        store=out / 'embeddings.pt',
        key=dict(stamp=stamp[:-1], momentum=options.momentum),
    )
    copies, no_views = note_copies(images), []
    if images.views is None:
        no_views = [
            'No alignment, LiDAR and agreement of views: the config has no '
            'training pipeline with two views, or all views are zero.'
        ]
    images, source, zero_share = drop_zeros(images, source)
    clusterings = find_clusterings(
        encoder, images, options.clusters, options.seed
    )
    measures = measure(
        images, clusterings, source.labels, options.seed, options.epsilon
    )
    measures['zero_share'] = zero_share
    name = name or Path(checkpoint).stem
    pictures = draw_all(
        out,
        name,
        source,
        images,
        clusterings,
        measures,
        options.tsne,
        options.seed,
    )
    values = headline(measures)
    report = dict(
        checkpoint=name,
        layout=encoder.layout,
        epoch=encoder.epoch,
        notes=[*encoder.notes, *copies, *no_views],
        images=source.description,
        input=describe_input(encoder, source),
        settings=settings,
        versions=dict(pauc_mm=__version__, torch=torch.__version__),
        headline=values,
        verdict=dict(vars(judge(values))),
        pictures=pictures,
        measures=measures,
        stamp=stamp,
    )
    write_report(report, out)
    return report


def _previous(out: Path, stamp: list, settings: dict) -> dict | None:
    """Return the existing report if it is of the same input."""
    if not (out / 'report.html').is_file():
        return None
    try:
        report = json.loads((out / 'report.json').read_text('utf-8'))
    except (FileNotFoundError, ValueError):  # or truncated
        return None
    previous = report.get('stamp'), report.get('settings')
    return report if previous == (stamp, settings) else None
