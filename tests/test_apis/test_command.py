# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import re
import sys
from pathlib import Path

import pytest

from pauc_mm.apis import command

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


def scripts():
    """The functions of ``pauc_mm.apis`` that tools/ runs, as module:name."""
    pattern = r'from pauc_mm\.apis\.(?!tool\b)(\w+) import (\w+)'
    texts = [path.read_text() for path in TOOLS.rglob('*.py')]
    found = {':'.join(m) for t in texts for m in re.findall(pattern, t)}
    return found - {'quickstart_report:main'}


def test_every_tool_is_a_command():
    places = {place for place, _ in command.COMMANDS.values()}
    assert places - {'..check_env:main'} == scripts()
    assert all(callable(command._load(place)) for place in places)


def test_a_command_gets_its_arguments(monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['/usr/bin/pauc', 'train', 'no.py'])
    with pytest.raises(SystemExit):
        command.main()
    out = capsys.readouterr().err
    assert 'usage: pauc train' in out and "'no.py'" in out


@pytest.mark.parametrize('words', [[], ['--help'], ['-h']])
def test_help_lists_the_commands(monkeypatch, capsys, words):
    monkeypatch.setattr(sys, 'argv', ['pauc', *words])
    command.main()
    out = capsys.readouterr().out
    assert all(f'  {name} ' in out for name in command.COMMANDS)


def test_an_unknown_command(monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['pauc', 'trian'])
    with pytest.raises(SystemExit, match="'trian'.*\n(.*\n)*  train "):
        command.main()
