# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest

from experiments.toy import METHODS, Run
from experiments.toy.table import (
    COLUMNS,
    differences_table,
    measures_table,
)
from pauc_mm.utils.tables import MISSING


def record(value, **more):
    measures = {name: value for name, _, _ in COLUMNS}
    return dict(measures=dict(measures, **more))


def cells(table):
    return [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in table.splitlines()
    ]


RECORDS = {
    Run('pcl', 10, 0): record(1.0),
    Run('pcl', 10, 1): record(3.0),
    Run('pauc-50-5-1', 10, 0): record(0.5, nemd_clusters=None),
    Run('pauc-50-5-1', 10, 1): record(2.4),
}
METHODS_SHOWN = ['pcl', 'pauc-50-5-1']


def test_the_table_has_a_row_for_each_method_and_number_of_classes():
    table = measures_table(RECORDS, METHODS_SHOWN, [10], [0, 1])
    header, rule, pcl, pauc = cells(table)
    assert header == ['C', 'method', *(name for _, name, _ in COLUMNS)]
    assert set(''.join(rule)) == {'-'}
    assert len({len(line) for line in table.splitlines()}) == 1
    # mean of 1 and 3, deviation sqrt(2)
    assert pcl[:3] == ['10', 'PCL', '2.000 ± 1.414']
    assert pauc[1] == METHODS['pauc-50-5-1'].label
    assert pauc[3] == MISSING  # undefined for a seed
    assert pauc[2] == '1.450 ± 1.344'


def test_differences_are_paired_by_seed():
    table = differences_table(RECORDS, METHODS_SHOWN, [10], [0, 1])
    _, _, row = cells(table)
    # -0.5 and -0.6: the deviation of the pairs, not of the seeds
    assert row[:3] == ['10', 'PAUC (50, 5, 1)', '-0.550 ± 0.071']
    assert row[3] == MISSING
    swapped = differences_table(
        RECORDS, METHODS_SHOWN, [10], [0], baseline='pauc-50-5-1'
    )
    assert cells(swapped)[2][:3] == ['10', 'PCL', '+0.500']


def test_a_run_that_is_missing_is_named():
    with pytest.raises(KeyError, match='seed=2'):
        measures_table(RECORDS, METHODS_SHOWN, [10], [2])
