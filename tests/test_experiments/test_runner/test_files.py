# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from experiments.runner.files import keep_aside


def test_backups_are_numbered(tmp_path):
    path = tmp_path / 'a.txt'
    for number in (1, 2, 3):
        path.write_text(str(number))
        assert keep_aside(path).name == f'a.txt.{number}'
    assert (tmp_path / 'a.txt.2').read_text() == '2'
    assert not path.exists()
