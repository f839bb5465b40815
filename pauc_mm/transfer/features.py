# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Features that a checkpoint gives labelled images."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from pauc_mm.checkpoints import Checkpoint, Encoder
from pauc_mm.checkpoints.file import checkpoint_file
from pauc_mm.embedding.embedded_images import EmbeddedImages, embed_all
from pauc_mm.embedding.images import ImageSource
from pauc_mm.utils.checks import check_choice, check_integer
from pauc_mm.utils.device import pick_device

from .images import from_config, from_data_config, from_folders, from_voc

SPACES = ('feature', 'embedding')


@dataclass(frozen=True)
class FeatureOptions:
    """Options that choose the network and the images.

    Attributes:
        checkpoint (str): Any file that
            :class:`pauc_mm.checkpoints.Checkpoint` reads.
        train (str, optional): Folder of training images; without it those
            that the checkpoint's config names.
        test (str, optional): Folder of test images.
        voc (str, optional): Folder of Pascal VOC, instead of both.
        data_config (str, optional): Config, or ``pauc_mm::NAME``, whose data
            are taken instead of both.
        difficult (str): See :func:`~.images.from_voc`.
        config (str, optional): Config, where the checkpoint has none.
        trust_checkpoint (bool): Whether the file may run code.
        momentum (bool): Whether to use the momentum encoder.
        space (str): 'feature', of the backbone, or 'embedding', after the
            projection.
        image_size (int, optional): Side of the crop, in pixels.
        corrupt (str): See :class:`pauc_mm.datasets.ImageFolder`.
        batch_size (int): Images a batch.
        workers (int): Processes that load images.
        device (str): 'auto', 'cpu' or 'cuda'.
        cache (str): Folder that keeps features; '' keeps none.
    """

    checkpoint: str
    train: str | None = None
    test: str | None = None
    voc: str | None = None
    data_config: str | None = None
    difficult: str = 'ignore'
    config: str | None = None
    trust_checkpoint: bool = False
    momentum: bool = False
    space: str = 'feature'
    image_size: int | None = None
    corrupt: str = 'error'
    batch_size: int = 64
    workers: int = 0
    device: str = 'auto'
    cache: str = 'work_dirs/features'

    def __post_init__(self) -> None:
        if bool(self.train) != bool(self.test):
            raise ValueError('--train and --test go together: give both.')
        given = [self.train, self.voc, self.data_config]
        if sum(map(bool, given)) > 1:
            raise ValueError(
                'Give one of --train and --test, --voc, and --data-config.'
            )
        check_choice('--space', self.space, SPACES)
        check_integer('--batch-size', self.batch_size, 1)
        check_integer('--workers', self.workers, 0)
        if self.image_size is not None:
            check_integer('--image-size', self.image_size, 1)
            if not any(given):
                raise ValueError(
                    '--image-size goes with images that are named here; the '
                    "data of the checkpoint's config has its own size."
                )


@dataclass
class LabelledFeatures:
    """Features of labelled images.

    Attributes:
        features (Tensor): Shape (N, C), float32, on the CPU, finite.
        labels (Tensor): See :class:`~pauc_mm.embedding.images.ImageSource`.
        classes (list[str]): Names of the K classes.
        description (str): Source of the images.
        images (EmbeddedImages): All that is known of them.
    """

    features: Tensor
    labels: Tensor
    classes: list[str]
    description: str
    images: EmbeddedImages

    def __len__(self) -> int:
        return len(self.features)


def load_encoder(options: FeatureOptions) -> Encoder:
    """Load the encoder; for errors see :meth:`.Checkpoint.encoder`."""
    checkpoint = Checkpoint.open(
        options.checkpoint, options.config, options.trust_checkpoint
    )
    return checkpoint.encoder(options.momentum)


def find_images(
    options: FeatureOptions,
) -> tuple[Encoder, ImageSource, ImageSource]:
    """Load the encoder and find training and test images."""
    encoder = load_encoder(options)
    size = options.image_size
    if options.voc:
        sets = from_voc(encoder, options.voc, size, options.difficult)
    elif options.data_config:
        sets = from_data_config(encoder, options.data_config, size)
    elif options.train:
        folders = options.train, options.test
        sets = from_folders(encoder, *folders, size, options.corrupt)
    else:
        trusted = options.trust_checkpoint or options.config is not None
        sets = from_config(encoder, trusted)
    return (encoder, *sets)


def embed(
    options: FeatureOptions, encoder: Encoder, images: ImageSource
) -> LabelledFeatures:
    """Embed images, or read the features of an earlier call.

    ``options.cache`` keeps them for as long as the checkpoint, the image
    files and the pipeline stay the same.

    Raises:
        RuntimeError: If a feature is not finite.
        ValueError: If the encoder lacks the projection of
            ``space='embedding'``, or torch sees no GPU for 'cuda'.
    """
    if options.space == 'embedding' and encoder.neck is None:
        raise ValueError(
            f'This checkpoint ({encoder.layout}) has no projection that can '
            'be loaded: leave out --space embedding.'
        )
    path = checkpoint_file(options.checkpoint)
    stat = path.stat()
    network = [str(path.resolve()), options.momentum, options.config]
    facts = [network, [images.description, images.paths]]
    name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
    cached = Path(options.cache) / f'{path.stem}_{name}.pt'
    result = embed_all(
        encoder,
        images,
        options.batch_size,
        options.workers,
        pick_device(options.device),
        store=cached if options.cache else None,
        key=dict(network=network, checkpoint=[stat.st_size, stat.st_mtime_ns]),
    )
    embedded = options.space == 'embedding'
    return LabelledFeatures(
        result.embeddings if embedded else result.features,
        images.labels,
        images.classes,
        images.description,
        result,
    )


def extract(
    options: FeatureOptions,
) -> tuple[LabelledFeatures, LabelledFeatures]:
    """Embed the training and the test images."""
    encoder, train, test = find_images(options)
    return embed(options, encoder, train), embed(options, encoder, test)
