# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest

from experiments.runner.result import RunResult, duration


@pytest.mark.parametrize(
    'seconds, text',
    [
        (0, '0 s'),
        (89, '89 s'),
        (150, '2 min'),
        (3599, '1 h 00 min'),
        (3900, '1 h 05 min'),
        (86400, '24 h 00 min'),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_only_results_of_this_format_are_read():
    values = dict(
        digest='d',
        run=dict(name='a', setting=dict(seed=3)),
        metrics=dict(knn=0.5),
        versions={},
        hardware='CPU',
        threads=2,
        date='2026-11-20',
        seconds=1.0,
    )
    result = RunResult(**values)
    assert RunResult.from_dict(result.to_dict()) == result
    assert (result.name, result.setting) == ('a', {'seed': 3})
    plain = result.to_dict()
    for wrong in (
        {**plain, 'format': 1},
        {**plain, 'run': {}},
        {**plain, 'figures': {}},
        {k: v for k, v in plain.items() if k != 'metrics'},
    ):
        with pytest.raises(ValueError, match='not a result'):
            RunResult.from_dict(wrong)
