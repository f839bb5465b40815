# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pauc_mm.checkpoints.file import checkpoint_file
from pauc_mm.datasets.data_layout import FoundData
from pauc_mm.transfer.features import FeatureOptions
from pauc_mm.utils.tables import Summary

OWN = 'own'


@dataclass(frozen=True)
class Setup:
    """Settings that all evaluations of one checkpoint share."""

    options: FeatureOptions  # with the user's own images, if any were given
    data: Mapping[str, FoundData]  # see find_data
    out: Path  # folder of the results
    gpus: int = 0  # processes to fine-tune with; 0 skips fine-tuning
    seed: int = 0  # of all draws
    draws: int = 5  # of low-shot images
    jobs: int = 1  # processes of the SVMs
    image_size: int | None = None  # side of the centre crop, in pixels
    cfg_options: tuple[str, ...] = ()  # KEY=VALUE options of fine-tuning
    force: bool = False  # whether to repeat existing results

    def on(self, **images: str) -> FeatureOptions:
        """Return the options with other images: ``voc`` or ``data_config``."""
        none = dict(train=None, test=None, voc=None, data_config=None)
        size = dict(image_size=self.image_size)
        return replace(self.options, **{**none, **size, **images})

    def network(self) -> dict[str, Any]:
        """Return a plain key of the network, which changes with its file."""
        path = checkpoint_file(self.options.checkpoint)
        stat = path.stat()
        names = ('config', 'momentum', 'trust_checkpoint')
        return dict(
            checkpoint=[str(path.resolve()), stat.st_size, stat.st_mtime_ns],
            **{name: getattr(self.options, name) for name in names},
        )


@dataclass(frozen=True)
class Score:
    """Result of one row of the table, in percent."""

    mean: float
    std: float | None = None  # over seeds or draws

    def __str__(self) -> str:
        return Summary(self.mean, self.std).text(1)


@dataclass(frozen=True)
class Task:
    """One evaluation."""

    name: str  # on the command line
    # A data set of data_layout.LAYOUTS, or OWN for the images of the
    # checkpoint's config or of the user.
    data: str
    rows: Mapping[str, str]  # of the table, each with a key of PUBLISHED or ''
    evaluate: Callable[[Setup], dict[str, Score]] = field(repr=False)  # by row
    # Returns all that the scores depend on, as plain data.
    key: Callable[[Setup], dict[str, Any]] = field(repr=False)
    note: str  # protocol, and how it differs from the papers
    fine_tunes: bool = False  # whether networks are trained
    needs: str = ''  # package that must be installed
