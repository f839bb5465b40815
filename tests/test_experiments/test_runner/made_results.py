# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Results as the cells give them, made by hand."""

from experiments.runner import config_digest


def made_result(cell, figures, records=None, **changes):
    """That of a cell with its present config."""
    result = dict(
        format=1,
        digest=config_digest(cell),
        cell=dict(
            name=cell.name,
            config=cell.config,
            options=dict(cell.options),
            place=dict(cell.place),
        ),
        figures=figures,
        records=records or {},
        epochs=10,
        seconds=100.0,
        epoch_seconds=1.0,
        epoch_cpu_seconds=1.0,
        versions=dict(python='3.11.1', torch='2.14.1'),
        hardware='Some CPU, 2 cores',
        threads=1,
        date=f'2026-11-2{cell.place["seed"]}T10:00:00',
    )
    return {**result, **changes}
