# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Print Markdown and write raw values."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

MIN_ROUNDS = 5  # for an interval of a ratio


def environment(args: argparse.Namespace) -> dict[str, str]:
    """Return hardware and versions, without hosts, users or folders."""
    try:
        import faiss

        faiss_version = faiss.__version__
    except ImportError:
        faiss_version = 'not installed'
    facts = dict(
        CPU=_cpu_model(),
        cores=str(os.cpu_count()),
        threads=str(args.threads),
        python=platform.python_version(),
        torch=torch.__version__,
        faiss=faiss_version,
        device=args.device,
    )
    if args.device == 'cuda':
        facts['GPU'] = torch.cuda.get_device_name()
    return facts


def _cpu_model() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.processor() or platform.machine()


@dataclass
class Timing:
    """Timings of one alternative in seconds."""

    samples: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median in seconds."""
        return statistics.median(self.samples)


class Report:
    """Markdown report, whose values are kept for ``--out``.

    Args:
        title (str): Heading.
        args (Namespace): From :func:`parse`.
    """

    def __init__(self, title: str, args: argparse.Namespace) -> None:
        self.out = args.out
        facts = environment(args)
        options = {k: v for k, v in vars(args).items() if k != 'out'}
        self.record = dict(
            title=title, environment=facts, options=options, tables=[]
        )
        print(f'## {title}\n')
        print(', '.join(f'{k} {v}' for k, v in facts.items()) + '\n')

    def note(self, text: str) -> None:
        """Print a paragraph."""
        print(f'{text}\n', flush=True)

    def table(self, title: str, header: list[str], rows: list[list]) -> None:
        """Print a table.

        Args:
            title (str): A line above it.
            header (list[str]): Names of the columns.
            rows (list[list]): Strings, or numbers, shown with three digits.
        """
        self.record['tables'].append(
            dict(title=title, header=header, rows=rows)
        )
        lines = [header, ['---'] * len(header)]
        lines += [[_text(cell) for cell in row] for row in rows]
        print(f'**{title}**\n')
        print('\n'.join('| ' + ' | '.join(line) + ' |' for line in lines))
        print(flush=True)

    def timings(
        self,
        title: str,
        timings: dict[str, Timing],
        baseline: str,
        faster: bool = False,
        peak: dict[str, float] | None = None,
    ) -> None:
        """Print a table of timings and their ratio to one of them.

        Args:
            title (str): A line above it.
            timings (dict[str, Timing]): By name.
            baseline (str): The name whose ratio is 1.
            faster (bool): Whether the ratio says how many times as fast as
                the baseline something is, or how many times as long it takes.
            peak (dict[str, float], optional): Peak memory in MiB by name.
        """
        ratio = 'times as fast' if faster else f'ratio to {baseline}'
        header = ['', 'median ms', 'min to max', ratio]
        rounds = len(timings[baseline].samples)
        if rounds >= MIN_ROUNDS:
            header.append('95% of resampled rounds')
        rows = []
        for name, timing in timings.items():
            quotient = timing.median / timings[baseline].median
            low, high = min(timing.samples), max(timing.samples)
            row = [
                name,
                timing.median * 1e3,
                f'{_text(low * 1e3)} to {_text(high * 1e3)}',
                1 / quotient if faster else f'{quotient:.3f}',
            ]
            if rounds >= MIN_ROUNDS:
                pair = timing, timings[baseline]
                bounds = resampled_ratio(*(pair[::-1] if faster else pair))
                row.append(' to '.join(f'{b:.3g}' for b in bounds))
            rows.append(row)
        if peak:
            header.append('peak MiB')
            for row in rows:
                row.append(peak.get(row[0], '-'))
        self.table(title, header, rows)
        self.record['tables'][-1]['seconds'] = {
            name: timing.samples for name, timing in timings.items()
        }

    def save(self) -> None:
        """Write the raw values if ``--out`` was given."""
        if self.out:
            Path(self.out).write_text(json.dumps(self.record, indent=1))
            print(f'wrote {self.out}', file=sys.stderr)


def resampled_ratio(timing: Timing, baseline: Timing) -> tuple[float, float]:
    """Bootstrap the ratio of two medians over rounds.

    A round's two timings stay together, for they share its disturbances.

    Returns:
        tuple[float, float]: 2.5% and 97.5% quantiles of 10,000 draws.
    """
    pair = np.array([timing.samples, baseline.samples])
    draws = np.random.default_rng(0).integers(
        pair.shape[1], size=(10_000, pair.shape[1])
    )
    ratios = np.divide(*np.median(pair[:, draws], axis=-1))
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)


def _text(cell) -> str:
    """Format to three significant digits, without an exponent."""
    if isinstance(cell, float):
        return f'{cell:.0f}' if abs(cell) >= 100 else f'{cell:.3g}'
    return str(cell)
