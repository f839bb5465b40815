# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

# Raise when keys change.
FORMAT = 2
_UNEQUAL = (
    'Not all on one kind of machine: they round differently, so that equal '
    'seeds are then two runs, not one.'
)


@dataclass(frozen=True)
class RunResult:
    """The stored outcome of a run, ``result.json`` in its folder.

    Attributes:
        digest (str): Digest of the run, see :meth:`~.run.Run.digest`.
        run (Mapping): The run's own fields.
        metrics (Mapping[str, float]): Values by name; a value is None where
            it is not defined.
        versions (Mapping[str, str]): Versions of packages.
        hardware (str): Processor, cores and GPU.
        threads (int): Threads of a process.
        date (str): End of the run, ISO 8601.
        seconds (float): Duration of all attempts.
        diverged (str, optional): Error message if the training diverged;
            there are no metrics then.
        records (Mapping): Contents of files with one JSON object a line.
        epochs (int): Epochs trained.
        epoch_seconds (float, optional): Mean duration of an epoch.
        epoch_cpu_seconds (float, optional): Its mean processor time.
        processes (int): Processes that trained together.
        gpus (int): GPUs that they used.
    """

    digest: str
    run: Mapping[str, Any]
    metrics: Mapping[str, float | None]
    versions: Mapping[str, str]
    hardware: str
    threads: int
    date: str
    seconds: float
    diverged: str | None = None
    records: Mapping[str, list[dict]] = field(default_factory=dict)
    epochs: int = 0
    epoch_seconds: float | None = None
    epoch_cpu_seconds: float | None = None
    processes: int = 1
    gpus: int = 0

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.run['name']

    @property
    def setting(self) -> Mapping[str, Any]:
        """Coordinates of the run."""
        return self.run['setting']

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for :meth:`from_dict`."""
        return dict(format=FORMAT, **asdict(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunResult:
        """Build a result from what :meth:`to_dict` gave.

        Raises:
            ValueError: If the format or the keys are not ours.
        """
        values = dict(values)
        if values.pop('format', None) != FORMAT:
            raise ValueError(f'it is not a result of format {FORMAT}')
        try:
            result = cls(**values)
            _ = result.name, result.setting
        except (TypeError, KeyError) as error:
            raise ValueError(f'it is not a result: {error}') from error
        return result


def provenance_lines(results: Sequence[RunResult]) -> list[str]:
    """List dates, hardware and package versions of results."""
    versions = sorted(
        {', '.join(f'{k} {v}' for k, v in r.versions.items()) for r in results}
    )
    hardware = sorted({f'{r.hardware} ({r.threads} a run)' for r in results})
    dates = sorted(result.date[:10] for result in results)
    period = dates[0]
    if dates[-1] != dates[0]:
        period += f' to {dates[-1]}'
    total = duration(sum(result.seconds for result in results))
    longest = duration(max(result.seconds for result in results))
    return [
        f'- {period}; {len(results)} runs, {total} in all if one after '
        f'another, {longest} the longest',
        *(f'- {text}' for text in hardware),
        *([f'- {_UNEQUAL}'] if len(hardware) > 1 else []),
        *(f'- {text}' for text in versions),
    ]


def duration(seconds: float) -> str:
    """Format a duration, such as '1 h 05 min'."""
    if seconds < 90:
        return f'{seconds:.0f} s'
    minutes = round(seconds / 60)
    if minutes < 60:
        return f'{minutes} min'
    return f'{minutes // 60} h {minutes % 60:02d} min'
