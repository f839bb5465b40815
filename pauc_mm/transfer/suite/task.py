# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from pauc_mm.datasets.data_layout import FoundData
from pauc_mm.transfer.features import FeatureOptions

OWN = 'own'
SPEED = ('batch_size', 'workers', 'device', 'cache')
"""Options that say how fast it goes, and not what comes out."""


@dataclass(frozen=True)
class Setup:
    """What all evaluations of one checkpoint share.

    Attributes:
        options (FeatureOptions): The network, and the user's own images if
            folders were given.
        data (Mapping[str, FoundData]): See
            :func:`~pauc_mm.datasets.data_layout.find_data`.
        out (Path): Folder of the results.
        gpus (int): Processes to fine-tune with; 0 leaves that out.
        seed (int): Of all draws. Defaults to 0.
        draws (int): Of the low-shot images. Defaults to 5.
        jobs (int): Processes of the SVMs. Defaults to 1.
        image_size (int, optional): Side of the centre crop, in pixels.
        cfg_options (tuple[str, ...]): ``KEY=VALUE`` for what is fine-tuned.
        force (bool): Whether what is done is repeated. Defaults to False.
    """

    options: FeatureOptions
    data: Mapping[str, FoundData]
    out: Path
    gpus: int = 0
    seed: int = 0
    draws: int = 5
    jobs: int = 1
    image_size: int | None = None
    cfg_options: tuple[str, ...] = ()
    force: bool = False

    def on(self, **images: str) -> FeatureOptions:
        """The options with other images: ``voc`` or ``data_config``."""
        none = dict(train=None, test=None, voc=None, data_config=None)
        size = dict(image_size=self.image_size)
        return replace(self.options, **{**none, **size, **images})

    def network(self) -> dict[str, Any]:
        """Which network it is: changes if the file does."""
        path = Path(self.options.checkpoint)
        stat = path.stat()
        names = ('config', 'momentum', 'trust_checkpoint')
        return dict(
            checkpoint=[str(path.resolve()), stat.st_size, stat.st_mtime_ns],
            **{name: getattr(self.options, name) for name in names},
        )


def plain_options(options: FeatureOptions) -> dict[str, Any]:
    """What a result depends on, of the options.

    Args:
        options (FeatureOptions): All of them.

    Returns:
        dict[str, Any]: Without those of :data:`SPEED`.
    """
    return {k: v for k, v in asdict(options).items() if k not in SPEED}


@dataclass(frozen=True)
class Figure:
    """One figure of a checkpoint.

    Attributes:
        mean (float): In percent.
        std (float, optional): Over seeds or draws, in percent.
    """

    mean: float
    std: float | None = None

    def __str__(self) -> str:
        spread = '' if self.std is None else f' ± {self.std:.1f}'
        return f'{self.mean:.1f}{spread}'


@dataclass(frozen=True)
class Task:
    """One evaluation.

    Attributes:
        name (str): For the command line.
        data (str): A key of :data:`LAYOUTS`, or :data:`OWN` for the images
            that the checkpoint's config names or the user gave.
        rows (Mapping[str, str]): Rows of the table, with the key of the
            papers' figures in :mod:`~.published` or ''.
        evaluate (callable): From the setup to figures by row.
        key (callable): From the setup to all that the figures depend on,
            plain data.
        note (str): How it is done, or differs from the papers.
        fine_tunes (bool): Whether networks are trained. Defaults to False.
        needs (str): A package that must be installed. Defaults to ''.
    """

    name: str
    data: str
    rows: Mapping[str, str]
    evaluate: Callable[[Setup], dict[str, Figure]] = field(repr=False)
    key: Callable[[Setup], dict[str, Any]] = field(repr=False)
    note: str
    fine_tunes: bool = False
    needs: str = ''
