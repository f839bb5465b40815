# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The benchmark runs and prints what it says; never how fast anything is."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_detection_ops(tmp_path):
    # It raises if the results of the alternatives differ.
    out = tmp_path / 'ops.json'
    quick = ('--small', '--device', 'cpu', '--threads', '1', '--repeats', '2')
    result = subprocess.run(
        [
            sys.executable,
            str(ROOT / 'benchmarks/detection_ops.py'),
            *quick,
            '--out',
            str(out),
        ],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    tables = json.loads(out.read_text())['tables']
    titles = [table['title'] for table in tables]
    assert titles[0] == 'nms of 50 boxes'
    assert [': ' in title for title in titles] == [False, True, True]
    assert 'forward and backward' in titles[2]
    for table in tables:
        assert "torchvision's" in table['seconds']
        for samples in table['seconds'].values():
            assert len(samples) == 2 and min(samples) > 0
        assert float(table['rows'][0][3]) == 1
    alone = 'no compiled operations here' in result.stdout
    assert len(tables[0]['rows']) == (1 if alone else 2)
