# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The results of the runs on disk: what is there is not run again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from .experiment import Run, describe
from .settings import Settings

_FORMAT = 1


class Results:
    """Records in ``toy_blobs.json``, angles in a file for each run.

    A run is told by its method, number of classes and seed; one with other
    settings replaces it. Records that nobody asks for are kept.

    Args:
        folder (str or Path): Where they are; made if it is not there.

    Raises:
        NotADirectoryError: If it is a file.
        ValueError: If its ``toy_blobs.json`` cannot be read.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise NotADirectoryError(
                f'{self.folder} is to be the folder for the results, but it, '
                'or a part of its path, is a file: name another with --out.'
            ) from error
        self.path = self.folder / 'toy_blobs.json'
        self.records: dict[Run, dict] = {}
        if self.path.is_file():
            self._read()

    def _read(self) -> None:
        try:
            stored = json.loads(self.path.read_text(encoding='utf-8'))
            if stored['format'] != _FORMAT:
                raise ValueError(f'format {stored["format"]}')
            for record in stored['runs']:
                keys = ('method', 'classes', 'seed', 'measures', 'seconds')
                method, classes, seed, *_ = (record[key] for key in keys)
                self.records[Run(method, classes, seed)] = record
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f'{self.path} does not hold results of this program '
                f'({type(error).__name__}: {error}). Remove it, or name '
                'another folder with --out.'
            ) from error

    def angles_path(self, run: Run) -> Path:
        """File of the angles of a run."""
        name = f'{run.method}_c{run.classes}_s{run.seed}.npy'
        return self.folder / 'angles' / name

    def has(self, run: Run, settings: Settings) -> bool:
        """Whether a run is there, made with these settings."""
        record = self.records.get(run)
        if record is None or not self.angles_path(run).is_file():
            return False
        # As JSON gives it back: tuples are lists there.
        wanted = json.loads(json.dumps(describe(run, settings)))
        return {key: record.get(key) for key in wanted} == wanted

    def add(self, run: Run, record: dict, angles: np.ndarray) -> None:
        """Write the result of a run; a kill in between loses nothing.

        Args:
            run (Run): The run.
            record (dict): Plain data.
            angles (np.ndarray): Shape (N,), float32.
        """
        path = self.angles_path(run)
        path.parent.mkdir(exist_ok=True)
        np.save(path, angles)
        self.records[run] = json.loads(json.dumps(record))
        text = json.dumps(
            dict(format=_FORMAT, runs=list(self.records.values())), indent=1
        )
        new = self.path.with_suffix('.tmp')
        new.write_text(text, encoding='utf-8')
        os.replace(new, self.path)

    def angles(self, run: Run) -> np.ndarray:
        """Angles of the embeddings of a run, shape (N,), float32."""
        return np.load(self.angles_path(run))
