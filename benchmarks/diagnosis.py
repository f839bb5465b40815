# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Time a diagnosis of embedded images."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn.functional as F
from _harness import Report, Timing, get_parser, parse, positive, say
from _memory import PeakMeter

import pauc_mm  # noqa: F401
from pauc_mm.diagnosis.clusterings import find_clusterings
from pauc_mm.diagnosis.figures import draw_all
from pauc_mm.diagnosis.measures import measure
from pauc_mm.embedding.embedded_images import EmbeddedImages
from pauc_mm.embedding.images import ImageSource

CLASSES = 100


class _Images:
    """Images of the montage."""

    def __init__(self, labels: torch.Tensor) -> None:
        self.labels = labels

    def __getitem__(self, index: int) -> dict:
        shade = int(self.labels[index]) * 2
        return dict(inputs=torch.full((3, 64, 64), shade, dtype=torch.uint8))


def make_data(args) -> tuple:
    """Return noisy classes of the size of a ResNet-50 and PCL's projection."""
    generator = torch.Generator().manual_seed(args.seed)
    labels = torch.randint(CLASSES, (args.images,), generator=generator)

    def vectors(dim: int) -> torch.Tensor:
        centres = torch.randn(CLASSES, dim, generator=generator)
        noise = torch.randn(args.images, dim, generator=generator)
        return centres[labels] + 1.5 * noise

    embeddings = F.normalize(vectors(args.dim), dim=1)
    views = torch.stack([embeddings[:2000], embeddings[:2000].roll(1, 0)])
    images = EmbeddedImages(
        vectors(args.feature_dim), embeddings, vectors(768).half(), views
    )
    names = [str(c) for c in range(CLASSES)]
    paths = [''] * args.images
    source = ImageSource(_Images(labels), None, labels, names, paths, '')
    return images, source


def main(argv=None) -> None:
    """Measure and print."""
    parser = get_parser(__doc__, repeats=1)
    parser.set_defaults(warmup=0)
    add = parser.add_argument
    add('--images', type=positive, default=50_000, metavar='N')
    add('--feature-dim', type=positive, default=2048, metavar='C')
    add('--dim', type=positive, default=128, metavar='D')
    args = parse(parser, argv)
    if args.small:
        args.images, args.feature_dim, args.dim = 2000, 64, 16
    report = Report('A diagnosis', args)
    report.note(
        f'N = {args.images}, features of {args.feature_dim} and embeddings '
        f'of {args.dim} dimensions, {CLASSES} classes; no prototypes of its '
        'own, so that k-means runs too.'
    )
    images, source = make_data(args)
    encoder = SimpleNamespace(
        prototypes={}, prototype_space=None, preprocess=dict(to_rgb=True)
    )
    timings = {
        name: Timing() for name in ('k-means', 'measures', 'pictures', 'all')
    }
    meter = PeakMeter()
    meter.start()
    for turn in range(args.repeats):
        seconds = run_once(images, source, encoder, args.seed)
        for name, value in seconds.items():
            timings[name].samples.append(value)
        say(f'round {turn + 1}/{args.repeats}')
    report.table(
        'seconds of each part',
        ['', 'median s', 'min to max'],
        [
            [
                name,
                timing.median,
                f'{min(timing.samples):.1f} to {max(timing.samples):.1f}',
            ]
            for name, timing in timings.items()
        ],
    )
    report.note(f'Growth of memory: {meter.host() / 2**20:.0f} MiB.')
    report.save()


def run_once(images, source, encoder, seed: int) -> dict[str, float]:
    """Return the seconds of each part."""
    marks = [time.perf_counter()]
    clusterings = find_clusterings(encoder, images, seed=seed)
    marks.append(time.perf_counter())
    measures = measure(images, clusterings, source.labels, seed)
    marks.append(time.perf_counter())
    with tempfile.TemporaryDirectory() as folder:
        draw_all(
            Path(folder),
            'benchmark',
            source,
            images,
            clusterings,
            measures,
            seed=seed,
        )
    marks.append(time.perf_counter())
    parts = np.diff(marks).tolist()
    return dict(
        zip(('k-means', 'measures', 'pictures', 'all'), [*parts, sum(parts)])
    )


if __name__ == '__main__':
    main()
