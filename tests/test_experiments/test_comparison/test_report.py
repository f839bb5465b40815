# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Tables and picture of hand-made results."""

import json
from dataclasses import replace

import pytest
from PIL import Image

from experiments.comparison import SUITES, group, group_tuning
from experiments.comparison.documents import MARK, write_documents
from experiments.comparison.report import suite_report
from experiments.comparison.results import (
    ACCURACY,
    KNN,
    OWN,
    above,
    best_rate,
    mean_and_error,
)
from experiments.comparison.tables import (
    accuracy_table,
    difference_table,
    plain_table,
    tuning_table,
)
from experiments.comparison.verdicts import claim_table
from experiments.runner.result import provenance_lines
from pauc_mm.utils.tables import Summary
from tests.test_experiments.test_comparison.helpers import (
    SMALL,
    made,
    made_suite,
)


@pytest.fixture(scope='module')
def grouped():
    return group(made_suite())


def rows(text):
    table = [line for line in text.splitlines() if line.startswith('|')]
    return [[c.strip() for c in line.split('|')[1:-1]] for line in table]


def test_accuracies_rates_and_times(grouped):
    header, _, *body = rows(accuracy_table(SMALL, grouped['digits']))
    assert header == [
        'method',
        'seeds',
        'kNN, training',
        'kNN',
        'linear',
        '1 label',
        '5 labels',
        '10 labels',
        'lr',
        'epoch, x MoCo v2',
    ]
    # 80, 81, 82: mean 81, deviation 1; half of that for one label
    assert body[0][:4] == ['MoCo v2', '3', '80.0 ± 1.0', '81.0 ± 1.0']
    assert body[0][5] == '40.5 ± 0.5'
    assert body[0][8:] == ['0.04', '1.00 ± 0.00']
    # The best of each column in bold, and nothing else
    assert body[2][3:5] == ['**91.0 ± 1.0**', '**93.0 ± 1.0**']
    assert body[2][9] == '1.50 ± 0.00'
    assert '**' not in ''.join(body[0] + body[1])


def test_differences_are_of_equal_seeds(grouped):
    header, _, *body = rows(
        difference_table(SMALL, grouped['digits'], ACCURACY)
    )
    assert [row[0] for row in body] == ['PCL v2', 'PAUC']
    # Every pair differs by 5 points, so the error is 0, unlike the spread.
    assert body[0][1:3] == ['3', '+5.0 ± 0.0']
    some = group([*made_suite(), made('cld', 7, 0.9)])['digits']
    *_, alone = rows(difference_table(SMALL, some, ACCURACY))
    assert alone[:3] == ['CLD', '0', '-']


def test_what_no_method_has_is_no_column(grouped, tmp_path):
    # ImageNet has more training images than are compared with each other.
    results = made_suite()
    for result in results:
        del result.metrics['accuracy/knn_train']
    methods = group(results)['digits']
    header, _, *body = rows(accuracy_table(SMALL, methods))
    assert header[:3] == ['method', 'seeds', 'kNN'] and len(header) == 9
    assert [row[2] for row in body][-1] == '**91.0 ± 1.0**'
    header, *_ = rows(difference_table(SMALL, methods, ACCURACY))
    assert header[:3] == ['method', 'pairs', 'kNN']
    text = suite_report(SMALL, group(results), {}, 'python x')
    assert 'training images (each by' not in text
    whole = suite_report(SMALL, grouped, {}, 'python x')
    assert 'training images (each by' in whole


def test_times_of_fewer_seeds_are_told(grouped):
    results = made_suite()
    results[:3] = [replace(r, epoch_cpu_seconds=None) for r in results[:3]]
    body = rows(accuracy_table(SMALL, group(results)['digits']))[2:]
    assert body[2][-1] == '1.50 ± 0.00 (2 of 3)'


def test_own_prototypes_are_shown_where_there_are_some(grouped):
    *_, moco, pcl, pauc = rows(plain_table(SMALL, grouped['digits'], OWN))
    assert moco[1:] == pcl[1:] == ['-'] * 6
    assert pauc[1:4] == ['1024 ± 0', '25.0 ± 0.0', '90.0 ± 0.0']


def test_above_means_by_more_than_both_errors(grouped):
    assert above(Summary(2.0, 0.4, 3), Summary(1.0, 0.5, 3))
    assert not above(Summary(2.0, 0.5, 3), Summary(1.0, 0.5, 3))
    assert not above(Summary(1.0, 0.1, 3), Summary(2.0, 0.1, 3))
    # Deviation 1 of three: error 1 / sqrt(3)
    found = mean_and_error(KNN, grouped['digits']['pauc'])
    assert found.mean == pytest.approx(91) and found.number == 3
    assert found.spread == pytest.approx(3**-0.5)


def test_the_order_of_the_paper(grouped):
    _, _, knn, linear = rows(claim_table(SMALL, grouped))
    assert knn[:2] == ['digits', 'kNN'] and knn[-1] == linear[-1] == 'yes'
    assert knn[2:4] == ['3', '91.00 ± 0.58']
    mixed = [
        made(m, seed, knn + 0.01 * seed)
        for seed in range(3)
        for m, knn in (('mocov2', 0.8), ('pclv2', 0.85), ('pauc', 0.855))
    ]
    answer = rows(claim_table(SMALL, group(mixed)))[-1][-1]
    assert answer.startswith('no: PAUC') and 'noise' in answer
    reverse = [
        made(m, seed, knn + 0.01 * seed)
        for seed in range(3)
        for m, knn in (('mocov2', 0.9), ('pclv2', 0.8), ('pauc', 0.85))
    ]
    answer = rows(claim_table(SMALL, group(reverse)))[-1][-1]
    assert answer == 'no: MoCo v2 is above PCL v2'
    assert claim_table(SMALL, group([made('mocov2', 0, 0.8)])) == ''
    # One seed has no error, and says nothing; seeds of one method neither.
    alone = [r for r in mixed if r.setting['seed'] == 0]
    assert claim_table(SMALL, group(alone)) == ''
    more = group([*mixed, made('pauc', 3, 0.99)])
    assert claim_table(SMALL, more) == claim_table(SMALL, group(mixed))


def test_times_are_compared_on_equal_terms():
    results = [
        replace(r, threads=2) if r.setting['method'] == 'pauc' else r
        for r in made_suite()
    ]
    *_, row = rows(accuracy_table(SMALL, group(results)['digits']))
    assert row[0] == 'PAUC' and row[-1] == '-'


def test_the_rate_is_chosen_without_held_out_images():
    by_rate = {}
    for rate, train, test in ((0.04, 0.7, 0.9), (0.12, 0.8, 0.5)):
        result = made('pauc', 0, test, rate=rate)
        result.metrics['accuracy/knn_train'] = train
        by_rate[rate] = result
    assert best_rate(by_rate) == 0.12
    by_rate[0.12].metrics['accuracy/knn_train'] = 0.7
    assert best_rate(by_rate) == 0.04  # the lowest of equals


def test_the_table_of_rates():
    results = [
        made('pauc', 0, knn + 0.01, rate=rate)
        for rate, knn in ((0.04, 0.9), (0.12, 0.8), (0.36, 0.7))
    ]
    *_, row = rows(tuning_table(SMALL, group_tuning(results)))
    assert row == [
        'digits',
        'PAUC',
        '0.0133: -',
        '**0.04: 90.0**',
        '0.12: 80.0',
        '0.36: 70.0',
        'incomplete',
    ]
    lost = made('pauc', 0, 0.5, rate=0.0133)
    lost = replace(lost, metrics={}, diverged='a weight is NaN')
    *_, row = rows(tuning_table(SMALL, group_tuning([*results, lost])))
    assert row[2] == '0.0133: diverged' and row[-1] == ''
    assert group_tuning(results[:1]) == group_tuning([lost]) == {}
    results.append(made('pauc', 0, 0.99, rate=0.0133))
    *_, row = rows(tuning_table(SMALL, group_tuning(results)))
    assert row[2] == '**0.0133: 98.0**'
    assert row[-1] == 'best at an end of the grid, the recipe has 0.04'


def test_rates_alone_are_a_report(tmp_path):
    tuning = group_tuning([made('pauc', 0, 0.9, rate=r) for r in (0.04, 0.12)])
    text, files = write_documents(SMALL, {}, tuning, tmp_path, 'python x', [])
    assert '**0.04: 89.0**' in text and '![' not in text
    assert [file.name for file in files] == ['results.md', 'results.json']


def test_nothing_is_no_report(tmp_path):
    with pytest.raises(ValueError, match='no result of the comparison'):
        write_documents(SMALL, {}, {}, tmp_path, 'python x', [])
    assert not any(tmp_path.iterdir())


def test_documents_keep_what_people_wrote(grouped, tmp_path):
    tuning = group_tuning([made('pauc', 0, 0.9, rate=r) for r in (0.04, 0.12)])
    arguments = SMALL, grouped, tuning, tmp_path / 'new', 'python x'
    text, (report, figure, raw) = write_documents(
        *arguments, ['a: not run', 'c: diverged', 'b: not run']
    )
    assert report.name == 'results.md'
    assert text.startswith('# Methods compared on small images\n\n' + MARK)
    assert '- a, b: not run' in text and 'python x' in text
    assert '- c: diverged' in text
    assert '![Accuracy and collapse](figures/results.png)' in text
    assert 'torch 2.14.1' in text and '2026-11-20 to 2026-11-22' in text
    assert '`pauc_mm::mocov2/mocov2_tiny_digits.py` with' in text
    with Image.open(figure) as image:
        assert min(image.size) > 400
    stored = json.loads(raw.read_text())
    # Nine runs, and the one rate that is not the recipe's
    assert len(stored) == 10
    assert stored[0]['metrics']['accuracy/knn'] == 0.8
    old = report.read_text()
    report.write_text(old.replace(MARK, 'My reading.\n\n' + MARK))
    text, _ = write_documents(*arguments)
    assert 'My reading.' in report.read_text() and text.count(MARK) == 1
    assert 'not run' not in text
    report.write_text('# Something else\n')
    with pytest.raises(ValueError, match='results.md.*--docs'):
        write_documents(*arguments)
    assert report.read_text() == '# Something else\n'


def test_ablations_are_named_with_their_group():
    suite = SUITES['ablations']
    assert suite.methods[suite.baseline].title == 'Terms: all three: PAUC'
    assert len({method.title for method in suite.methods.values()}) == len(
        suite.methods
    )


def test_the_report_says_if_machines_differ():
    results = [made('mocov2', seed, 0.8) for seed in range(2)]
    assert 'one kind of machine' not in '\n'.join(provenance_lines(results))
    results[1] = replace(results[1], hardware='Another CPU, 8 cores')
    text = '\n'.join(provenance_lines(results))
    assert '- Another CPU, 8 cores (1 a run)' in text
    assert 'Not all on one kind of machine' in text
