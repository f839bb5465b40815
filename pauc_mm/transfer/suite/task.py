# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pauc_mm.datasets.data_layout import FoundData
from pauc_mm.transfer.features import FeatureOptions
from pauc_mm.utils.tables import Summary

OWN = 'own'


@dataclass(frozen=True)
class Setup:
    """Settings that all evaluations of one checkpoint share.

    Attributes:
        options (FeatureOptions): The network, and the user's own images if
            folders were given.
        data (Mapping[str, FoundData]): See
            :func:`~pauc_mm.datasets.data_layout.find_data`.
        out (Path): Folder of the results.
        gpus (int): Processes to fine-tune with; 0 skips fine-tuning.
        seed (int): Seed of all draws. Defaults to 0.
        draws (int): Draws of low-shot images. Defaults to 5.
        jobs (int): Processes of the SVMs. Defaults to 1.
        image_size (int, optional): Side of the centre crop, in pixels.
        cfg_options (tuple[str, ...]): ``KEY=VALUE`` options of fine-tuning.
        force (bool): Whether to repeat existing results. Defaults to False.
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
        """Return the options with other images: ``voc`` or ``data_config``."""
        none = dict(train=None, test=None, voc=None, data_config=None)
        size = dict(image_size=self.image_size)
        return replace(self.options, **{**none, **size, **images})

    def network(self) -> dict[str, Any]:
        """Return a plain key of the network, which changes with its file."""
        path = Path(self.options.checkpoint)
        stat = path.stat()
        names = ('config', 'momentum', 'trust_checkpoint')
        return dict(
            checkpoint=[str(path.resolve()), stat.st_size, stat.st_mtime_ns],
            **{name: getattr(self.options, name) for name in names},
        )


@dataclass(frozen=True)
class Score:
    """Result of one row of the table.

    Attributes:
        mean (float): In percent.
        std (float, optional): Over seeds or draws, in percent.
    """

    mean: float
    std: float | None = None

    def __str__(self) -> str:
        return Summary(self.mean, self.std).text(1)


@dataclass(frozen=True)
class Task:
    """One evaluation.

    Attributes:
        name (str): Name on the command line.
        data (str): A data set of
            :data:`~pauc_mm.datasets.data_layout.LAYOUTS`, or :data:`OWN` for
            the images of the checkpoint's config or of the user.
        rows (Mapping[str, str]): Rows of the table, each with a key of
            :data:`~.published.PUBLISHED` or ''.
        evaluate (callable): Returns the scores by row for a setup.
        key (callable): Returns all that the scores depend on for a setup, as
            plain data.
        note (str): Protocol, and how it differs from the papers.
        fine_tunes (bool): Whether networks are trained. Defaults to False.
        needs (str): Package that must be installed. Defaults to ''.
    """

    name: str
    data: str
    rows: Mapping[str, str]
    evaluate: Callable[[Setup], dict[str, Score]] = field(repr=False)
    key: Callable[[Setup], dict[str, Any]] = field(repr=False)
    note: str
    fine_tunes: bool = False
    needs: str = ''
