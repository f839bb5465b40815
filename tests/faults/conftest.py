# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""How faults end, and how many of each kind: a file of this folder is a kind.

A test has the parameter ``verdict`` or the mark: ``works``, ``recovers``,
``refused`` (with an error) or ``noted``. ``refused: PATTERN`` pins the key and
the value that the message names. ``bash tools/run_tests.sh tests/faults`` runs
all of them and counts.
"""

import re
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from mmengine.logging import MMLogger

from pauc_mm.apis.tool import is_mistake

VERDICTS = 'refused', 'recovers', 'noted', 'works'


def verdict_of(item):
    params = getattr(item, 'callspec', None) and item.callspec.params
    if verdict := (params or {}).get('verdict'):
        return verdict.partition(':')[0]
    marks = [m.args[0] for m in item.iter_markers('verdict')]
    return marks[0] if marks else None


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent != Path(__file__).parent:
            continue
        verdict = verdict_of(item)
        if verdict not in VERDICTS:
            raise pytest.UsageError(
                f'{item.nodeid}: verdict={verdict!r} is none of {VERDICTS}'
            )
        kind = item.path.stem.removeprefix('test_').replace('_', ' ')
        item.user_properties.append(('fault', (kind, verdict)))


def pytest_terminal_summary(terminalreporter):
    counts = Counter()
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            fault = dict(getattr(report, 'user_properties', ())).get('fault')
            if fault and outcome in ('passed', 'failed', 'error', 'skipped'):
                kind, verdict = fault
                column = verdict if outcome == 'passed' else outcome
                counts[kind, column] += 1
    columns = [*VERDICTS, 'skipped', 'failed', 'error']
    total = Counter()
    for (_, column), number in counts.items():
        total[column] += number
    columns = [c for c in columns if total[c] or c in VERDICTS]
    kinds = sorted({kind for kind, _ in counts})
    if not kinds:
        return
    terminalreporter.section('faults by kind and verdict')
    width = max(map(len, kinds))
    for kind in ['', *kinds, 'all']:
        row = [
            c if not kind else total[c] if kind == 'all' else counts[kind, c]
            for c in columns
        ]
        cells = ''.join(f'{str(cell or "."):>10}' for cell in row)
        terminalreporter.line(f'{kind:{width}}{cells}')


@pytest.fixture
def ends(monkeypatch, capsys):
    """Return ``ends(verdict)``, which compares the end of its block.

    It yields a list of what was logged. What was printed counts as well.
    """
    logged = []
    monkeypatch.setattr(MMLogger, 'isEnabledFor', lambda self, level: True)
    monkeypatch.setattr(
        MMLogger, 'handle', lambda self, r: logged.append(r.getMessage())
    )

    @contextmanager
    def ends(verdict):
        kind, _, pattern = verdict.partition(': ')
        error = None
        logged.clear()
        capsys.readouterr()
        try:
            yield logged
        except (Exception, SystemExit) as caught:
            if kind != 'refused':
                raise
            error = caught
            # Otherwise the program ends with a traceback.
            assert isinstance(error, SystemExit) or is_mistake(error), error
        assert (error is not None) == (kind == 'refused'), 'nothing refused'
        printed = capsys.readouterr()
        said = [*logged, printed.out, printed.err]
        if kind == 'refused':  # the note before an error is not the error
            said = [printed.err * isinstance(error, SystemExit), str(error)]
        assert re.search(pattern, '\n'.join(said), re.DOTALL), said

    return ends
