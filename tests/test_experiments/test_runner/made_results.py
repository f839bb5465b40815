# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Hand-made results of runs."""

import json

from experiments.runner import RunResult


def made_result(run, metrics, records=None, **changes):
    """A result of a run with its present config."""
    values = dict(
        digest=run.digest(),
        run=json.loads(run.to_json())[1],
        metrics=metrics,
        records=records or {},
        epochs=10,
        seconds=100.0,
        epoch_seconds=1.0,
        epoch_cpu_seconds=1.0,
        versions=dict(python='3.11.1', torch='2.14.1'),
        hardware='Some CPU, 2 cores',
        threads=1,
        date=f'2026-11-2{run.setting["seed"]}T10:00:00',
    )
    return RunResult(**{**values, **changes})


def store_results(out, results):
    """Write results as the runs of a program with ``--out`` would."""
    for result in results:
        folder = out / 'runs' / result.name
        folder.mkdir(parents=True)
        text = json.dumps(result.to_dict())
        (folder / 'result.json').write_text(text)
