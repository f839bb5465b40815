# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""tools/data/draw_subset.py as a user runs it."""

import pytest

from pauc_mm.apis.draw_subset import main as draw


@pytest.fixture
def folder(tmp_path):
    for name, count in (('ant', 30), ('bee', 12)):
        path = tmp_path / 'train' / name
        path.mkdir(parents=True)
        for i in range(count):
            (path / f'{name}_{i}.jpg').touch()
    return tmp_path / 'train'


def test_draw(folder, tmp_path, capsys):
    out = tmp_path / 'meta/few.txt'
    draw([str(folder), '--fraction', '0.1', '--out', str(out)])
    lines = out.read_text().splitlines()
    assert [line.split(' ')[1] for line in lines] == ['0', '0', '0', '1']
    assert all((folder / line.split(' ')[0]).is_file() for line in lines)
    assert capsys.readouterr().out == (
        f'{out}: 4 of 42 images in 2 classes, 1 to 3 a class (of 12 to 30)\n'
    )
    again = tmp_path / 'again.txt'
    draw([str(folder), '--fraction', '0.1', '--out', str(again)])
    assert again.read_text() == out.read_text()
    other = [str(folder), '--fraction', '0.1', '--seed', '1']
    draw([*other, '--out', str(tmp_path / 'other.txt')])
    assert (tmp_path / 'other.txt').read_text() != out.read_text()


def test_draw_from_a_list(folder, tmp_path):
    whole, few = tmp_path / 'all.txt', tmp_path / 'few.txt'
    draw([str(folder), '--fraction', '1', '--out', str(whole)])
    assert len(whole.read_text().splitlines()) == 42
    draw([str(whole), '--per-class', '5', '--out', str(few)])
    direct = tmp_path / 'direct.txt'
    draw([str(folder), '--per-class', '5', '--out', str(direct)])
    assert few.read_text() == direct.read_text()


def test_published_list(folder, tmp_path):
    published, out = tmp_path / '10percent.txt', tmp_path / 'out.txt'
    published.write_text('bee_3.jpg\nant_20.jpg\nant_4.jpg\n')
    draw([str(folder), '--list', str(published), '--out', str(out)])
    assert out.read_text() == (
        'ant/ant_20.jpg 0\nant/ant_4.jpg 0\nbee/bee_3.jpg 1\n'
    )


def test_help(capsys):
    with pytest.raises(SystemExit) as stop:
        draw(['--help'])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert '--list 10percent.txt' in text and 'google-research/simclr' in text


@pytest.mark.parametrize(
    'options, message',
    [
        (['--fraction', '2'], 'fraction=2.0 must be'),
        (['--per-class', '13'], r'1 of the 2 classes .*: bee \(12\)'),
        (['--fraction', '0.1', '--min-per-class', '2'], r'bee \(1\)'),
        (['--list', 'no.txt'], "no list 'no.txt'"),
    ],
)
def test_wrong_input(folder, tmp_path, options, message):
    out = tmp_path / 'out.txt'
    with pytest.raises(SystemExit, match=f'draw_subset: .*{message}'):
        draw([str(folder), *options, '--out', str(out)])
    assert not out.exists()


def test_nothing_is_replaced_unasked(folder, tmp_path, capsys):
    out = tmp_path / 'out.txt'
    out.write_text('mine')
    args = [str(folder), '--fraction', '0.5', '--out', str(out)]
    with pytest.raises(SystemExit) as stop:
        draw(args)
    assert stop.value.code == 2 and out.read_text() == 'mine'
    assert '--overwrite replaces it' in capsys.readouterr().err
    draw([*args, '--overwrite'])
    assert len(out.read_text().splitlines()) == 21


@pytest.mark.parametrize('overwrite', [[], ['--overwrite']])
def test_a_folder_is_no_list(folder, tmp_path, capsys, overwrite):
    args = [str(folder), '--fraction', '0.5', '--out', str(tmp_path)]
    with pytest.raises(SystemExit) as stop:
        draw([*args, *overwrite])
    assert stop.value.code == 2
    message = capsys.readouterr().err
    assert f"--out '{tmp_path}' is a folder" in message
    assert 'replaces it' not in message
    assert [p.name for p in tmp_path.iterdir()] == ['train']


def test_one_way_to_choose(folder, capsys):
    for options in ([], ['--fraction', '0.1', '--per-class', '2']):
        with pytest.raises(SystemExit) as stop:
            draw([str(folder), *options, '--out', 'x.txt'])
        assert stop.value.code == 2
    assert 'not allowed with' in capsys.readouterr().err
