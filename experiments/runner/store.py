# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from pauc_mm.utils.files import (
    LOCK,
    only_process_in,
    write_json,
    write_text,
)

from .files import free_name, keep_aside
from .result import RunResult
from .run import Run

RESULT, STATE, LOG = 'result.json', 'state.json', 'log.txt'
_REPLACED = 'replaced'
FREE_MEGABYTES = 100


class RunFolder:
    """The folder of a run.

    ``state.json`` says which digest the work in it has and how far it is;
    ``result.json`` appears once it is done.

    Args:
        path (Path): Created by :meth:`prepare`.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def result(self) -> RunResult | None:
        """Return the stored result, of whichever digest.

        Raises:
            ValueError: If the file cannot be read.
        """
        values = self._read(RESULT)
        if values is None:
            return None
        try:
            return RunResult.from_dict(values)
        except ValueError as error:
            raise ValueError(self._damaged(RESULT, error)) from error

    def finished(self, digest: str) -> RunResult | None:
        """Return the result if it has this digest."""
        result = self.result()
        return result if result and result.digest == digest else None

    def state(self) -> dict:
        """Return ``digest``, and what the run noted of its progress."""
        return self._read(STATE) or {}

    def write_state(self, **values) -> None:
        """Replace the state."""
        write_json(self.path / STATE, values)

    def prepare(self, digest: str) -> None:
        """Create the folder, or make it ready for a run of this digest.

        Work of another digest is not resumed but kept: its result as
        ``result.json.1`` and so on, the rest in a folder ``replaced.1``.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        result = self.result()
        if result is not None and result.digest != digest:
            keep_aside(self.path / RESULT)
        if self.state().get('digest') == digest:
            return
        leftovers = [
            path
            for path in self.path.iterdir()
            if path.name not in (LOG, LOCK)
            and not path.name.startswith((RESULT, _REPLACED))
        ]
        if leftovers:
            aside = free_name(self.path / _REPLACED)
            aside.mkdir()
            for path in leftovers:
                path.rename(aside / path.name)
        self.write_state(digest=digest)

    def discard(self) -> None:
        """Have the run repeated; :meth:`prepare` keeps the old work."""
        if (self.path / RESULT).is_file():
            keep_aside(self.path / RESULT)
        if (self.path / STATE).is_file():
            self.write_state(digest='')

    def locked(self) -> AbstractContextManager[None]:
        """Keep other processes out; RuntimeError if one is in."""
        return only_process_in(self.path)

    def log_end(self, lines: int = 15) -> str:
        """Return the last lines that the run printed."""
        path = self.path / LOG
        if not path.is_file():
            return ''
        text = path.read_text(encoding='utf-8', errors='replace')
        return '\n'.join(text.rstrip().splitlines()[-lines:])

    def _read(self, name: str) -> dict | None:
        path = self.path / name
        if not path.is_file():
            return None
        try:
            return json.loads(path.read_text(encoding='utf-8'))
        except ValueError as error:
            raise ValueError(self._damaged(name, error)) from error

    def _damaged(self, name: str, error: Exception) -> str:
        path = self.path / name
        return (
            f"'{path}' ({path.stat().st_size} bytes) cannot be read: {error}. "
            'Remove it to have the run repeated.'
        )


@dataclass
class Store:
    """The folders of the runs of an experiment.

    Attributes:
        root (Path): Has a folder for each run, by its name.
        megabytes (int): Disk space that must be free before a run begins.
            Defaults to :data:`FREE_MEGABYTES`.
    """

    root: Path
    megabytes: int = FREE_MEGABYTES

    def folder(self, run: Run) -> RunFolder:
        """Return the folder of a run."""
        return RunFolder(Path(self.root) / run.name)

    def finished(self, run: Run) -> RunResult | None:
        """Return the result of a run as it is declared now."""
        return self.folder(run).finished(run.digest())

    def outdated(self, run: Run) -> bool:
        """Return whether there is a result, but of another digest."""
        result = self.folder(run).result()
        return result is not None and result.digest != run.digest()

    def results_and_gaps(
        self, runs: Sequence[Run]
    ) -> tuple[list[RunResult], list[str]]:
        """Read what there is to report.

        Raises:
            ValueError: If a stored result is damaged, or there is none.
        """
        results, gaps = [], []
        for run in runs:
            result = self.finished(run)
            if result is None:
                outdated = self.outdated(run)
                gaps.append(
                    f'{run}: its config has changed since it was run'
                    if outdated
                    else f'{run}: not run, or failed'
                )
            elif result.diverged:
                gaps.append(f'{run}: its training diverged')
            else:
                results.append(result)
        if not results:
            lines = '\n'.join(f'  {gap}' for gap in gaps)
            raise ValueError(
                f"there is no result in '{self.root}' to report: run without "
                '--report-only first, or give its --out, --epochs and '
                f'--only.\n{lines}'
            )
        return results, gaps

    def take_known(self, path: Path, runs: Sequence[Run]) -> tuple[int, int]:
        """Store the results that a published file has of these runs.

        Only results of equal digest are taken, and only where the store has
        none yet.

        Args:
            path (Path): The JSON beside a report, see :func:`read_results`.
            runs (sequence of Run): What is wanted.

        Returns:
            tuple[int, int]: Results taken, and results left because their
            digest is another one.

        Raises:
            ValueError: If the file is no such list.
            OSError: If it is missing, or the store cannot be written.
            RuntimeError: If another process works in this store.
        """
        known = {result.name: result for result in read_results(path)}
        taken = changed = 0
        with only_process_in(self.root):
            for run in runs:
                result, folder = known.get(run.name), self.folder(run)
                if result is None:
                    continue
                digest = run.digest()
                if folder.finished(digest) is not None:
                    continue
                if result.digest != digest:
                    changed += 1
                    continue
                folder.prepare(digest)
                write_json(folder.path / RESULT, result.to_dict())
                taken += 1
        return taken, changed


def write_results(path: Path, results: Iterable[RunResult]) -> None:
    """Write raw results, one run a line, so that a diff shows runs."""
    runs = ',\n'.join(json.dumps(result.to_dict()) for result in results)
    write_text(path, f'[\n{runs}\n]\n')


def read_results(path: Path) -> list[RunResult]:
    """Read the raw results that a report has beside it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has no list of results.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"--known '{path}': there is no such file. Name the .json beside "
            'a report, such as docs/results.json.'
        )
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        return [RunResult.from_dict(values) for values in content]
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"--known '{path}' does not have results of runs, as the .json "
            f'beside a report has: {error}'
        ) from error
