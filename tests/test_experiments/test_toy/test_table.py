# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from experiments.toy import METHODS, Settings, toy_run
from experiments.toy.table import (
    COLUMNS,
    differences_table,
    group,
    metrics_table,
)
from pauc_mm.utils.tables import MISSING
from tests.test_experiments.test_runner.made_results import made_result

METRICS = (
    'nemd_classes',
    'nemd_clusters',
    'uniformity',
    'variance_classes',
    'variance_clusters',
    'void',
    'knn',
)


def result(method, seed, value, **more):
    run = toy_run(method, 10, seed, Settings())
    metrics = {name: value for name in METRICS}
    return made_result(run, {**metrics, **more})


def cells(table):
    return [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in table.splitlines()
    ]


RESULTS = [
    result('pcl', 0, 1.0),
    result('pcl', 1, 3.0),
    result('pauc-50-5-1', 0, 0.5, nemd_clusters=None),
    result('pauc-50-5-1', 1, 2.4),
]


def test_the_table_has_a_row_for_each_method_and_number_of_classes():
    header, _, pcl, pauc = cells(metrics_table(group(RESULTS)))
    assert header == ['C', 'method', *(column.title for column in COLUMNS)]
    # mean of 1 and 3, deviation sqrt(2)
    assert pcl[:3] == ['10', 'PCL', '2.000 ± 1.414']
    assert pauc[1] == METHODS['pauc-50-5-1'].label
    assert pauc[3] == MISSING  # undefined for a seed
    assert pauc[2] == '1.450 ± 1.344'


def test_differences_are_paired_by_seed():
    _, _, row = cells(differences_table(group(RESULTS)))
    # -0.5 and -0.6: the deviation of the pairs, not of the seeds
    assert row[:3] == ['10', 'PAUC (50, 5, 1)', '-0.550 ± 0.071']
    assert row[3] == MISSING
    # Seeds that only one of the two has are left out.
    table = differences_table(group(RESULTS[:3]), baseline='pauc-50-5-1')
    assert cells(table)[2][:3] == ['10', 'PCL', '+0.500']
