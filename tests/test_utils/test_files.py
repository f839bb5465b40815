# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess
import sys

import pytest

from pauc_mm.utils import files
from pauc_mm.utils.files import (
    LOCK,
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


def test_a_folder_is_locked_against_other_processes(tmp_path):
    folder = tmp_path / 'new'
    code = (
        'import runpy, sys; files = runpy.run_path(sys.argv[1])\n'
        "with files['only_process_in'](sys.argv[2]): pass"
    )
    # Not imported: torch would take seconds.
    command = [sys.executable, '-c', code, files.__file__, str(folder)]
    with only_process_in(folder):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode and str(folder) in done.stderr
        assert f'pid {os.getpid()} ' in done.stderr
    assert (folder / LOCK).is_file()
    assert subprocess.run(command).returncode == 0


def test_a_forked_child_does_not_hold_the_lock(tmp_path):
    # A loader's worker outlives a killed training by some seconds.
    code = (
        'import os, runpy, sys; files = runpy.run_path(sys.argv[1])\n'
        "with files['only_process_in'](sys.argv[2]):\n"
        '    if os.fork(): os._exit(0)  # as if killed\n'
        "    print('ready', flush=True); sys.stdin.read(); os._exit(0)"
    )
    with subprocess.Popen(
        [sys.executable, '-c', code, files.__file__, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as killed:
        assert killed.stdout.readline() == b'ready\n'
        assert killed.wait() == 0
        with only_process_in(tmp_path):
            killed.stdin.close()
