# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from mmengine.config import Config, ConfigDict

from pauc_mm.apis import config as cli
from pauc_mm.apis.arguments import Parser, add_runner_arguments
from pauc_mm.utils.shipped_files import PREFIX
from tests.helpers import run_cfg


@pytest.fixture
def parser():
    parser = Parser('', '', 'tool')
    add_runner_arguments(parser)
    return parser


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / 'recipe.py'
    path.write_text('a = dict(b=1, c=[1, 2])\n')
    return str(path)


def test_missing_config_lists_the_shipped_ones(parser, capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.find_config('nowhere.py', parser)
    assert exit_info.value.code == 2
    error = capsys.readouterr().err
    assert "'nowhere.py' is not a file" in error
    assert 'pauc_mm::pauc_tiny_digits.py' in error


@pytest.mark.parametrize(
    'name', ['configs/pcl_tiny_digits.py', 'x/pcl_tiny_digit.py']
)
def test_an_old_path_is_refused_with_the_new_one(name, parser, capsys):
    with pytest.raises(SystemExit):
        cli.find_config(name, parser)
    lines = capsys.readouterr().err.splitlines()
    assert f'{PREFIX}pcl/pcl_tiny_digits.py' in lines
    assert f'{PREFIX}pauc/pauc_tiny_digits.py' not in lines


def test_config_by_prefix(parser, capsys):
    path = cli.find_config('pauc_mm::pauc_tiny_digits.py', parser)
    assert path.endswith('configs/pauc_tiny_digits.py')
    with pytest.raises(SystemExit):
        cli.find_config('pauc_mm::pauc_tiny_digit.py', parser)
    assert 'pauc_tiny_digits.py' in capsys.readouterr().err


def test_load_config(parser, config_file, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    args = parser.parse_args(
        ['recipe.py', '--cfg-options', 'a.b=5', 'a.c=3,4']
    )
    cfg = cli.load_config(args, config_file)
    assert cfg.a == dict(b=5, c=[3, 4])
    assert cfg.launcher == 'none'
    assert cfg.work_dir == 'work_dirs/recipe'


@pytest.mark.parametrize(
    'options, expected',
    [
        ([], 'from/config'),
        (['--work-dir', 'from/option'], 'from/option'),
        (
            ['--work-dir', 'from/option', '--cfg-options', 'work_dir=x'],
            'from/option',
        ),
        (['--cfg-options', 'work_dir=x'], 'x'),
    ],
)
def test_work_dir(options, expected, parser, tmp_path, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    path = tmp_path / 'recipe.py'
    path.write_text("work_dir = 'from/config'\n")
    cfg = cli.load_config(
        parser.parse_args(['recipe.py', *options]), str(path)
    )
    assert cfg.work_dir == expected


def loaders():
    return Config(
        dict(
            train_dataloader=dict(num_workers=2, persistent_workers=True),
            val_dataloader=dict(num_workers=0, persistent_workers=True),
            test_dataloader=None,
            val_cfg=dict(bank_dataloader=dict(batch_size=4)),
        )
    )


@pytest.mark.parametrize('cuda', [True, False])
def test_dataloader_defaults(cuda, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: cuda)
    cfg = loaders()
    cli.set_dataloader_defaults(cfg)
    bank = cfg.val_cfg.bank_dataloader
    for loader in (cfg.train_dataloader, cfg.val_dataloader, bank):
        assert loader.pin_memory is cuda
        assert loader.collate_fn == dict(type='default_collate')
    # Chosen by the config; impossible; never set by us.
    assert cfg.train_dataloader.persistent_workers is True
    assert cfg.val_dataloader.persistent_workers is False
    assert bank.persistent_workers is False
    assert cfg.test_dataloader is None


def test_no_pin_memory_overrules_the_config():
    cfg = loaders()
    cfg.train_dataloader.pin_memory = True
    cfg.train_dataloader.collate_fn = dict(type='pseudo_collate')
    cli.set_dataloader_defaults(cfg, pin_memory=False)
    assert cfg.train_dataloader.pin_memory is False
    assert cfg.train_dataloader.collate_fn.type == 'pseudo_collate'


def test_amp_on_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    cfg = Config(dict(optim_wrapper=dict(clip_grad=None)))
    cli.enable_amp(cfg)
    assert cfg.optim_wrapper == dict(
        type='AmpOptimWrapper', loss_scale='dynamic', clip_grad=None
    )


def test_amp_on_a_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    wrapper = dict(type='AmpOptimWrapper', loss_scale=512.0, dtype='float16')
    cfg = Config(dict(optim_wrapper=wrapper))
    cli.enable_amp(cfg)
    assert cfg.optim_wrapper == dict(
        type='mmpretrain.CPUAmpOptimWrapper', dtype='bfloat16'
    )


@pytest.mark.parametrize(
    'wrapper, found', [(None, 'None'), (dict(type='Mine'), 'Mine')]
)
def test_amp_refuses_unknown_wrappers(wrapper, found):
    cfg = Config(dict(optim_wrapper=wrapper and ConfigDict(wrapper)))
    with pytest.raises(ValueError, match=f'optim_wrapper.*{found}'):
        cli.enable_amp(cfg)


def test_a_missing_data_folder_names_its_key(tmp_path):
    cfg = Config(
        dict(
            train_dataloader=dict(dataset=dict(data_root=str(tmp_path))),
            val_dataloader=dict(dataset=dict(data_root='/no/where')),
        )
    )
    with pytest.raises(
        FileNotFoundError,
        match="val_dataloader.dataset.data_root: '/no/where'",
    ) as error:
        cli.build_runner(cfg)
    assert 'DIGIT_SCENES_ROOT' in str(error.value)
    assert 'experiments/make_digit_scenes.py' in str(error.value)


def test_every_training_is_guarded_unless_told_otherwise(tmp_path):
    cfg = run_cfg(tmp_path, 'PCL')
    for name in cli.GUARDS:
        cfg.default_hooks.pop(name, None)
    cfg.default_hooks.divergence = None
    hooks = {type(h).__name__ for h in cli.build_runner(cfg).hooks}
    assert {'CheckpointGuardHook', 'SetupCheckHook'} <= hooks
    assert 'DivergenceHook' not in hooks
