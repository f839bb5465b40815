# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pauc_mm.utils.checks import check_integer

from .measures import EPSILONS

SPEED = ('batch_size', 'workers', 'device', 'trust_checkpoint')
"""Options that a report does not depend on."""


@dataclass(frozen=True)
class DiagnosisOptions:
    """Images, measures and hardware of a diagnosis.

    Attributes:
        data (str, optional): Folder of images; without it those that the
            checkpoint's config tests on.
        config (str, optional): Config that replaces the checkpoint's own.
        labels (bool): Whether to use labels.
        clusters (sequence of int, optional): K of each k-means, see
            :func:`~.clusterings.find_clusterings`.
        max_images (int, optional): Most images; of more a sample is drawn.
        image_size (int, optional): Side of the centre crop in pixels.
        corrupt (str): See :class:`pauc_mm.datasets.ImageFolder`.
        momentum (bool): Whether to take the momentum encoder.
        epsilon (float): Cosine distance below which a prototype is a copy.
        tsne (bool): Whether to draw a t-SNE map.
        seed (int): Seed of all draws.
        batch_size (int): Images a batch.
        workers (int): Processes that load images.
        device (str): 'auto', 'cpu' or 'cuda'.
        trust_checkpoint (bool): Whether the file may run code when loaded.

    Raises:
        ValueError: If an option is out of range.
    """

    data: str | None = None
    config: str | None = None
    labels: bool = False
    clusters: Sequence[int] | None = None
    max_images: int | None = 50_000
    image_size: int | None = None
    corrupt: str = 'error'
    momentum: bool = False
    epsilon: float = EPSILONS[0]
    tsne: bool = True
    seed: int = 0
    batch_size: int = 64
    workers: int = 0
    device: str = 'auto'
    trust_checkpoint: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.epsilon <= 2:
            raise ValueError(
                '--epsilon must be a cosine distance in (0, 2], got '
                f'{self.epsilon}.'
            )
        check_integer('--batch-size', self.batch_size, 1)
        check_integer('--workers', self.workers, 0)
        check_integer('--seed', self.seed, 0)
        for key in ('max_images', 'image_size'):
            if getattr(self, key) is not None:
                option = f'--{key.replace("_", "-")}'
                check_integer(option, getattr(self, key), 1)

    def settings(self) -> dict[str, Any]:
        """Return the options that a report depends on, ready for JSON."""
        settings = {k: v for k, v in asdict(self).items() if k not in SPEED}
        settings['clusters'] = list(self.clusters) if self.clusters else None
        return settings
