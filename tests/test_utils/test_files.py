# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import json
import os

import pytest

from pauc_mm.utils.files import (
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
