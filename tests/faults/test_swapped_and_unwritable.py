# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Arguments in the wrong order, and outputs that cannot be written.

All are refused before any work: the checkpoint that they name is read by none.
"""

import pytest

from pauc_mm.apis import (
    diagnose,
    draw_subset,
    evaluate,
    evaluate_all,
    export,
    fine_tune,
    test,
    train,
)

pytestmark = pytest.mark.verdict('refused')
CONFIG = 'pauc_mm::pauc_tiny_digits.py'
OUTPUTS = {
    'knn': (evaluate.knn, ['a.pth', '--out', 'FILE/x.json']),
    'linear_probe': (evaluate.linear_probe, ['a.pth', '--out', 'DIR.json']),
    'low_shot_svm': (evaluate.low_shot_svm, ['a.pth', '--cache', 'FILE']),
    'cache': (evaluate.knn, ['a.pth', '--cache', 'FILE/a/b']),
    'diagnose': (diagnose.main, ['a.pth', '--out', 'FILE/x']),
    'evaluate_all': (evaluate_all.main, ['a.pth', '--out', 'FILE/x']),
    'test': (test.main, [CONFIG, 'none', '--out', 'FILE/x.json']),
    'draw_subset': (
        draw_subset.main,
        ['.', '--per-class', '1', '--out', 'FILE/x.txt'],
    ),
    'export': (
        export.main,
        ['a.pth', '--to', 'mmpretrain', 'FILE/x.pth'],
    ),
}


@pytest.mark.parametrize('tool', OUTPUTS)
def test_outputs_that_cannot_be_written(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'FILE').write_text('mine')
    (tmp_path / 'DIR.json').mkdir()
    main, argv = OUTPUTS[tool]
    with pytest.raises(SystemExit) as ended:
        main(argv)
    message = capsys.readouterr().err + str(ended.value.code)
    assert argv[-1] in message
    assert 'is a file' in message or 'is a folder' in message
    assert (tmp_path / 'FILE').read_text() == 'mine'


SWAPPED = {
    'test': (test.main, ['a.pth', 'config.py'], 'a.pth'),
    'train': (train.main, ['a.pth'], 'a.pth'),
    'classification': (
        fine_tune.train_classifier,
        ['a.pth', 'config.py'],
        'a.pth',
    ),
    'knn': (evaluate.knn, ['config.py', '--cache', ''], 'config.py'),
    'diagnose': (diagnose.main, ['config.py'], 'config.py'),
    'export': (
        export.main,
        ['config.py', 'x.pth', '--to', 'torchvision'],
        'config.py',
    ),
    'evaluate_all': (evaluate_all.main, ['config.py'], 'config.py'),
    '--config': (evaluate.knn, ['a.pth', '--config', 'a.pth'], 'a.pth'),
}


@pytest.mark.parametrize('tool', SWAPPED)
def test_config_and_checkpoint_swapped(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    import torch

    torch.save(dict(state_dict={'a': torch.ones(2)}), tmp_path / 'a.pth')
    (tmp_path / 'config.py').write_text('model = dict(type="PAUC")\n')
    main, argv, culprit = SWAPPED[tool]
    with pytest.raises(SystemExit) as ended:
        main(argv)
    message = capsys.readouterr().err + str(ended.value.code)
    assert f"'{culprit}'" in message and 'config' in message
    assert 'Only py/yml' not in message or '--config' in argv
