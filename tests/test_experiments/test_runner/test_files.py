# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import pytest

from experiments.runner.files import LOCK, keep_aside, only_process_in


def test_backups_are_numbered(tmp_path):
    path = tmp_path / 'a.txt'
    for number in (1, 2, 3):
        path.write_text(str(number))
        assert keep_aside(path).name == f'a.txt.{number}'
    assert (tmp_path / 'a.txt.2').read_text() == '2'
    assert not path.exists()


@pytest.mark.slow
def test_a_folder_is_locked_against_other_processes(tmp_path):
    folder = tmp_path / 'new'
    code = (
        'import sys; from experiments.runner.files import only_process_in\n'
        'with only_process_in(sys.argv[1]): pass'
    )
    command = [sys.executable, '-c', code, str(folder)]
    with only_process_in(folder):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode and str(folder) in done.stderr
    assert (folder / LOCK).is_file()
    assert subprocess.run(command).returncode == 0
