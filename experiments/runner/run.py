# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import importlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Run(ABC):
    """One run of an experiment.

    A kind of run is a frozen dataclass of plain values that says what its
    result depends on (:meth:`content`) and how to get it (:meth:`execute`).

    Args:
        name (str): Name of its folder: letters, digits, '.', '_', '-'.
        setting (Mapping): Coordinates for the tables, such as data, method
            and seed.

    Raises:
        ValueError: If the name cannot be that of a folder.
    """

    name: str
    setting: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not re.fullmatch(r'[\w][\w.\-]*', self.name):
            raise ValueError(
                f'Run.name={self.name!r} must be of letters, digits, '
                "'.', '_' and '-': it names a folder."
            )

    def __str__(self) -> str:
        return self.name

    @abstractmethod
    def content(self) -> dict[str, Any]:
        """Return all that the result depends on, as plain data for JSON."""

    @abstractmethod
    def execute(self, folder: Path) -> dict[str, Any]:
        """Do the work, or resume it.

        Args:
            folder (Path): Folder of the run, prepared and locked.

        Returns:
            dict[str, Any]: ``metrics`` by name, and whatever else of
            :class:`~.result.RunResult` differs from the default.
        """

    def digest(self) -> str:
        """Return 16 hexadecimal digits of the SHA-256 of :meth:`content`."""
        text = json.dumps(self.content(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Return the run as one line of text for :func:`run_from_json`."""
        kind = type(self)
        name = f'{kind.__module__}:{kind.__qualname__}'
        return json.dumps([name, asdict(self)])


def run_from_json(text: str) -> Run:
    """Return the run that :meth:`Run.to_json` wrote."""
    kind, values = json.loads(text)
    return find_object(kind)(**values)


def find_object(name: str) -> Any:
    """Import an object by ``module:name``.

    Raises:
        ValueError: If there is none.
    """
    module, _, attribute = name.partition(':')
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f'{name!r} is no module:name: {error}.') from error
