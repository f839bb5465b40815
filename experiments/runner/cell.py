# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

DEFAULT_MEASURE = 'experiments.runner.measures:validate'


@dataclass(frozen=True)
class Cell:
    """One run of a matrix: a recipe, what is changed in it, and its place.

    Args:
        name (str): Of its folder: letters, digits, '.', '_', '-'.
        config (str): File, or ``pauc_mm::NAME`` for a shipped one.
        options (Mapping): Changes of the config, as ``--cfg-options`` makes
            them; the seed among them.
        place (Mapping): Its coordinates, such as data, method and seed, for
            the tables.
        epochs (int, optional): Length, if it is not the recipe's, see
            :func:`~.cell_config.shorten`.
        measure (str): ``module:function`` that takes the runner after the
            training and returns figures by name. Defaults to the recipe's own
            validation.
        files (tuple[str, ...]): Files with a JSON object a line that the run
            writes into its folder, to be kept with the figures.

    Raises:
        ValueError: If the name cannot be that of a folder.
    """

    name: str
    config: str
    options: Mapping[str, Any] = field(default_factory=dict)
    place: Mapping[str, Any] = field(default_factory=dict)
    epochs: int | None = None
    measure: str = DEFAULT_MEASURE
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r'[\w][\w.\-]*', self.name):
            raise ValueError(
                f'Cell.name={self.name!r} must be of letters, digits, '
                "'.', '_' and '-': it names a folder."
            )

    def __str__(self) -> str:
        return self.name

    def to_json(self) -> str:
        """All of it as a line, for :meth:`from_json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Cell:
        """A cell from what :meth:`to_json` gave."""
        values = json.loads(text)
        values['files'] = tuple(values['files'])
        return cls(**values)
