# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Rank correlations of label-free measures, and their program."""

import pytest

from experiments import rank_label_free
from experiments.comparison.rank_correlation import correlation_report
from tests.test_experiments.test_runner.made_results import (
    made_result,
    store_results,
)

# Two methods at four rates: rank, koleo, alpha, learnability, dimension, kNN
VALUES = (
    (1.0, 9.0, 3.0, 0.1, 1.0, 0.1),
    (2.0, 8.0, 1.1, 0.2, 2.0, 0.2),
    (3.0, 7.0, 0.2, 0.3, 9.0, 0.3),
    (4.0, 6.0, 1.0, 0.4, 3.0, 0.4),
    (8.0, 5.0, 1.0, 0.5, 4.0, 0.5),
    (7.0, 4.0, 1.0, 0.6, 5.0, 0.6),
    (6.0, 3.0, 1.0, 0.7, 6.0, 0.7),
    (5.0, 2.0, 1.0, 0.8, 7.0, 0.8),
)
KEYS = (
    *('rankme', 'koleo', 'alpha_req'),
    *('cluster_learnability', 'intrinsic_dimension'),
)


@pytest.fixture(scope='module')
def runs():
    options = ['--data', 'digits', '--methods', 'mocov2', 'byol']
    parser = rank_label_free.get_parser()
    return rank_label_free.all_rates(
        parser.parse_args([*options, '--seeds', '0', '--epochs', '5'])
    )


@pytest.fixture(scope='module')
def results(runs):
    made = []
    for run, (*values, knn) in zip(runs, VALUES):
        metrics = {f'embedding/{k}': v for k, v in zip(KEYS, values)}
        metrics |= {'accuracy/knn': knn, 'accuracy/linear': 1 - knn}
        made.append(made_result(run, metrics))
    return made


def cells(text):
    rows = [line.split('|') for line in text.splitlines() if '|' in line]
    return {row[1].strip(): [c.strip() for c in row[2:-1]] for row in rows}


def test_every_rate_of_each_method_is_a_run(runs):
    assert len(runs) == 8
    assert {run.setting['rate'] for run in runs} == {0.0133, 0.04, 0.12, 0.36}
    assert {run.measure for run in runs} == {
        'experiments.comparison.label_free:measure'
    }


def test_correlations_against_pairs_by_hand(results):
    table = cells(correlation_report(results, [], 'command'))
    # Six of 28 pairs are in the other order, all of the second method;
    # rho = 1 - 6 sum d^2 / (n (n^2 - 1)) with d = 3, 1, 1, 3.
    rho, tau = 1 - 6 * 20 / (8 * 63), 1 - 2 * 6 / 28
    expected = [rho, tau, -rho, -tau]
    shown = [f'{value:+.2f}' for value in expected]
    # Within the first method it is 1, within the second -1.
    assert table['RankMe (embedding)'] == ['8', *shown, '+0.00 (2)']
    assert table['KoLeo (embedding)'][1:3] == ['+1.00', '+1.00']
    # |alpha - 1| has its maximum first; five of one value are ties.
    assert float(table['alpha-ReQ, nearness to 1 (embedding)'][1]) > 0.5
    # Ranks of the dimension are off by one for five and by five for one,
    # and the sum with what is learned has another order.
    assert (
        table['CLID: dimension (embedding)'][1] == f'{1 - 6 * 30 / 504:+.2f}'
    )
    assert float(table['CLID (embedding)'][1]) > 1 - 6 * 30 / 504
    assert 'LiDAR (embedding)' not in table


def test_published_runs_have_a_table_of_their_own(results, runs):
    other = [
        made_result(
            run,
            {
                'nemd_clusters/value': value[0],
                'accuracy/knn': value[-1],
                'accuracy/linear': 0.5,
            },
            diverged=None if value[0] < 8 else 'NaN',
        )
        for run, value in zip(runs, VALUES)
    ]
    text = correlation_report(results, other, 'command', ['a: not run'])
    assert '## Published runs, full length: digits, 7 runs of 10 ep' in text
    assert cells(text)['NEMD, clusters'][3] == '-'  # of one accuracy
    assert '- a: not run' in text


def test_the_program_reports_what_is_there(results, tmp_path, capsys):
    store_results(tmp_path, results[:5])
    options = ['--data', 'digits', '--methods', 'mocov2', 'byol', '--seeds']
    options += ['0', '--epochs', '5', '--out', str(tmp_path), '--report-only']
    rank_label_free.main(options)
    text = (tmp_path / 'label_free.md').read_text()
    assert 'digits, 5 runs of 10 epochs' in text
    assert 'digits_byol_lr0.36_5ep_seed0: not run' in text
    # With the order of all published runs below.
    assert 'Published runs, full length: digits, 66 runs of 120 ep' in text
    assert (tmp_path / 'label_free.json').is_file()
