# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The benchmark runs and prints what it says; never how fast anything is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('mmdet')
ROOT = Path(__file__).resolve().parents[2]


def test_detection_step(tmp_path):
    out = tmp_path / 'step.json'
    quick = ('--small', '--device', 'cpu', '--threads', '1', '--repeats', '1')
    result = subprocess.run(
        [
            sys.executable,
            str(ROOT / 'benchmarks/detection_step.py'),
            *quick,
            '--warmup',
            '0',
            '--out',
            str(out),
        ],
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    tables = json.loads(out.read_text())['tables']
    assert len(tables) == 4
    for steps, operations in (tables[:2], tables[2:]):
        assert operations['title'] == f'{steps["title"]}: the operations'
        assert len(operations['rows']) == 3 * len(steps['rows'])
        for row in operations['rows']:
            assert row[2] > 0  # each of them was called
            assert 0 <= float(row[3].rstrip('%')) < 100
