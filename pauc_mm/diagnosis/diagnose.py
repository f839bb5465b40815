# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""From a checkpoint and images to a report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from pauc_mm.checkpoints.load_encoder import load_encoder
from pauc_mm.embedding.embedded_images import drop_zeros, embed_all
from pauc_mm.embedding.images import find_images
from pauc_mm.utils.device import pick_device
from pauc_mm.version import __version__

from .clusterings import check_num_clusters, find_clusterings
from .figures import draw_all
from .measures import EPSILONS, measure
from .report import make_report, write_report


def diagnose(
    checkpoint: str,
    out: str | Path,
    data: str | None = None,
    config: str | None = None,
    with_labels: bool = False,
    num_clusters: Sequence[int] | None = None,
    max_images: int | None = 50_000,
    image_size: int | None = None,
    corrupt: str = 'error',
    momentum: bool = False,
    epsilon: float = EPSILONS[0],
    tsne: bool = True,
    batch_size: int = 64,
    num_workers: int = 0,
    device: str = 'auto',
    seed: int = 0,
    trust: bool = False,
    name: str | None = None,
) -> dict:
    """Diagnose one checkpoint and write its report.

    A report that is there and was made of the same file with the same options
    is returned as it is; so are the embeddings, if only options of the
    measures differ.

    Args:
        checkpoint (str): File, in one of the layouts that
            :func:`load_encoder` knows.
        out (str or Path): Folder for report.html, report.json and pictures.
        data (str, optional): Folder of images; None takes those of the
            config.
        config (str, optional): Config of the model, in the place of the one
            that the checkpoint may hold.
        with_labels (bool): Whether to use labels. Defaults to False.
        num_clusters (sequence of int, optional): K of k-means, see
            :func:`find_clusterings`.
        max_images (int, optional): Draw so many of more. Defaults to 50,000.
        image_size (int, optional): See :func:`find_images`.
        corrupt (str): See :class:`pauc_mm.datasets.ImageFolder`.
        momentum (bool): Whether to take the momentum encoder.
        epsilon (float): Cosine distance of copies, for the verdict.
        tsne (bool): Whether to draw a t-SNE map. Defaults to True.
        batch_size (int): Images a batch. Defaults to 64.
        num_workers (int): Processes that load images. Defaults to 0.
        device (str): 'cpu', 'cuda', or 'auto': a GPU if there is one.
        seed (int): Of all draws. Defaults to 0.
        trust (bool): Whether the file may run code of its own when loaded.
        name (str, optional): For titles. Defaults to the file's.

    Returns:
        dict: What report.json holds.

    Raises:
        ValueError: If an option is out of range or does not fit the images.
        RuntimeError: If the network's output is not finite.
    """
    check_options(out, epsilon, max_images, image_size, device)
    out = Path(out)
    settings = dict(
        data=data,
        config=config,
        labels=with_labels,
        clusters=list(num_clusters) if num_clusters else None,
        max_images=max_images,
        image_size=image_size,
        corrupt=corrupt,
        momentum=momentum,
        epsilon=epsilon,
        tsne=tsne,
        seed=seed,
    )
    encoder = load_encoder(checkpoint, config, trust=trust, momentum=momentum)
    source = find_images(
        encoder, data, with_labels, image_size, max_images, corrupt, seed
    )
    check_num_clusters(num_clusters, len(source))
    stat = Path(checkpoint).stat()
    stamp = [
        __version__,
        str(Path(checkpoint).resolve()),
        stat.st_size,
        stat.st_mtime_ns,
        _digest(encoder.config),
        source.fingerprint(),
    ]
    previous = _previous(out, stamp, settings)
    if previous is not None:
        return previous
    images = embed_all(
        encoder,
        source,
        batch_size,
        num_workers,
        pick_device(device),
        seed,
        store=out / 'embeddings.pt',
        key=dict(stamp=stamp[:-1], momentum=momentum),
    )
    images, source, zero_share = drop_zeros(images, source)
    clusterings = find_clusterings(encoder, images, num_clusters, seed)
    measures = measure(images, clusterings, source.labels, seed, epsilon)
    measures['zero_share'] = zero_share
    name = name or Path(checkpoint).stem
    pictures = draw_all(
        out,
        name,
        source,
        images,
        clusterings,
        measures,
        tsne,
        seed,
    )
    report = make_report(
        name, encoder, source.description, measures, pictures, settings
    )
    report['stamp'] = stamp
    write_report(report, out)
    return report


def check_options(
    out: str | Path,
    epsilon: float,
    max_images: int | None,
    image_size: int | None,
    device: str,
) -> None:
    """Refuse what would fail only after the images were embedded.

    Raises:
        ValueError: Which option, and what it may be.
    """
    if not 0 < epsilon <= 2:
        raise ValueError(
            f'--epsilon is a cosine distance in (0, 2], not {epsilon}.'
        )
    for option, value in (
        ('--max-images', max_images),
        ('--image-size', image_size),
    ):
        if value is not None and value < 1:
            raise ValueError(f'{option} must be at least 1, not {value}.')
    if Path(out).exists() and not Path(out).is_dir():
        raise ValueError(f'--out {out} is a file: name a folder.')
    pick_device(device)


def _digest(config) -> str | None:
    if config is None:
        return None
    return hashlib.sha256(repr(config.to_dict()).encode()).hexdigest()


def _previous(out: Path, stamp: list, settings: dict) -> dict | None:
    file = out / 'report.json'
    if not file.is_file() or not (out / 'report.html').is_file():
        return None
    try:
        report = json.loads(file.read_text(encoding='utf-8'))
    except ValueError:  # not ours, or half of one
        return None
    found = report.get('stamp'), report.get('settings')
    return report if found == (stamp, settings) else None
