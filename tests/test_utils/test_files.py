# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess
import sys

import pytest

from pauc_mm.utils.files import (
    LOCK,
    keep_aside,
    only_process_in,
    write_json,
    write_text,
)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'a.txt'
    write_text(path, 'old é')
    monkeypatch.setattr(os, 'replace', lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_text(path, 'new')
    assert path.read_text(encoding='utf-8') == 'old é'
    assert [p.name for p in tmp_path.iterdir()] == ['a.txt']
    monkeypatch.undo()
    write_json(path, dict(a=[1, None]))
    assert json.loads(path.read_text()) == dict(a=[1, None])


def test_backups_are_numbered(tmp_path):
    path = tmp_path / 'a.txt'
    for number in (1, 2, 3):
        path.write_text(str(number))
        assert keep_aside(path).name == f'a.txt.{number}'
    assert (tmp_path / 'a.txt.2').read_text() == '2'
    assert not path.exists()


def test_a_folder_is_locked_against_other_processes(tmp_path):
    folder = tmp_path / 'new'
    code = (
        'import sys; from pauc_mm.utils.files import only_process_in\n'
        'with only_process_in(sys.argv[1]): pass'
    )
    command = [sys.executable, '-c', code, str(folder)]
    with only_process_in(folder):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode and str(folder) in done.stderr
    assert (folder / LOCK).is_file()
    assert subprocess.run(command).returncode == 0
