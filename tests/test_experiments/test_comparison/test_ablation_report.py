# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Defaults that follow from the ablations, and their picture."""

import json
import math

import pytest
from PIL import Image

from experiments.comparison import SUITES, group
from experiments.comparison.ablation_plot import COLUMNS, _heights
from experiments.comparison.documents import write_documents
from experiments.comparison.verdicts import by_chance, defaults_table
from tests.test_experiments.test_comparison.helpers import made
from tests.test_experiments.test_comparison.test_report import rows

ABLATIONS = SUITES['ablations']
# kNN of the recipe among the training images, in %, for seeds 0 to 2
RECIPE = (90.0, 91.0, 92.0)


def results(data, **differences):
    """The recipe, and methods with these differences from it by seed."""
    some = {'all': (0, 0, 0), **differences}
    return [
        # 1 is what helpers.made takes off for kNN among training images.
        made(name, seed, (at + by + 1) / 100, data, suite=ABLATIONS)
        for name, values in some.items()
        for seed, (at, by) in enumerate(zip(RECIPE, values))
    ]


def verdicts(*some):
    grouped = group([result for one in some for result in one])
    table = rows(defaults_table(ABLATIONS, grouped))
    return {row[0]: row[1:] for row in table[2:]}


def test_two_standard_errors_on_all_data_move_a_default():
    # Mean 1, deviation 0.5, so error 0.5 / sqrt(3) = 0.29: 3.5 errors.
    better, worse = (0.5, 1.0, 1.5), (-0.5, -1.0, -1.5)
    # Mean 1, deviation 1, so error 0.58: 1.7 errors.
    unsure = (0.0, 1.0, 2.0)

    found = verdicts(
        results(
            'digits', none=better, align=better, corr=worse, uniform=unsure
        ),
        results(
            'mnist', none=better, align=unsure, corr=worse, uniform=unsure
        ),
    )

    bold = '**+1.00 ± 0.29**'
    assert found == {
        'Terms: no term: PCL': [
            bold,
            bold,
            'better on all: becomes the default',
        ],
        'Terms: alignment alone': [bold, '+1.00 ± 0.58', 'not on all'],
        'Terms: correlation alone': [
            *['**-1.00 ± 0.29**'] * 2,
            'worse on all',
        ],
    }


def test_better_on_one_and_worse_on_the_other_moves_nothing():
    found = verdicts(
        results('digits', corr=(1, 1, 1)), results('mnist', corr=(-1, -1, -1))
    )

    assert found['Terms: correlation alone'][-1] == 'not on all'


@pytest.mark.parametrize(
    'other', [[], [made('all', 0, 0.9, 'mnist', suite=ABLATIONS)]]
)
def test_data_that_have_not_been_run_decide_nothing(other):
    found = verdicts(results('digits', corr=(1, 1, 1)), other)

    assert found == {
        'Terms: correlation alone': [
            '**+1.00 ± 0.00**',
            '-',
            'mnist: no result',
        ]
    }


def test_one_seed_decides_nothing():
    one = [
        r for r in results('digits', corr=(5, 5, 5)) if r.setting['seed'] == 0
    ]

    text = defaults_table(ABLATIONS, group(one))

    assert text.startswith('No change') and '|' not in text


def test_a_change_with_fewer_seeds_is_not_decided():
    # As where a training has diverged
    some = results('mnist', corr=(1, 1.1, 1.2))[:-1]

    found = verdicts(results('digits', corr=(1, 1.1, 1.2)), some)

    assert found['Terms: correlation alone'] == [
        '**+1.10 ± 0.06**',
        '+1.05 ± 0.05',
        'mnist: too few seeds',
    ]


def test_share_of_changes_above_by_chance():
    # Student's t with two degrees of freedom in closed form: three seeds.
    expected = 0.5 - 2 / (2 * math.sqrt(2 + 2**2))

    assert by_chance(ABLATIONS) == pytest.approx(expected)


def test_many_gaps_are_counted(tmp_path):
    gaps = [f'run{i}: not run' for i in range(11)]

    text, _ = write_documents(
        ABLATIONS, group(results('digits')), {}, tmp_path, 'python x', gaps
    )

    assert 'run6, run7 and 3 more: not run' in text and 'run8' not in text


def test_no_picture_of_the_recipe_alone(tmp_path):
    text, files = write_documents(
        ABLATIONS, group(results('digits')), {}, tmp_path, 'python x'
    )

    assert '![' not in text
    assert [path.suffix for path in files] == ['.md', '.json']


def test_rows_under_their_headings_without_the_recipe():
    grouped = group(results('mnist', none=(0, 0, 0), corr_weight_1=(0, 0, 0)))

    heights, headings = _heights(ABLATIONS, grouped)

    assert headings == {'Terms': 0, 'Weights': 2}
    assert heights == {'none': 1, 'corr_weight_1': 3}


def test_the_report_has_the_picture_and_the_defaults(tmp_path):
    some = results('digits', none=(-1, -1, -1)) + results(
        'mnist', corr=(0, 1, 2)
    )

    text, (report, figure, raw) = write_documents(
        ABLATIONS, group(some), {}, tmp_path, 'python x'
    )

    assert report.name == 'ablations.md'
    assert '![Differences from all three: PAUC](figures/ablations.png)' in text
    assert text.index('## MNIST') < text.index('## Which defaults follow')
    assert (
        '| Terms: no term: PCL | **-1.00 ± 0.00** | -     | mnist: no result |'
        in text
    )
    assert len(json.loads(raw.read_text())) == len(some)
    with Image.open(figure) as image:
        # As many panels as columns, beside each other
        assert image.width > 300 * len(COLUMNS) > image.height
