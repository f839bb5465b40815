# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import os.path as osp
import sys
from pathlib import Path

import mmengine.config.config as config_module
import mmengine.utils
import pytest
from mmengine.config import Config

import pauc_mm
from pauc_mm.compat import config_paths, install

ROOT = Path(pauc_mm.__file__).resolve().parents[1]


@pytest.fixture
def configs(tmp_path, monkeypatch):
    """A folder of configs in the place of the shipped one."""
    (tmp_path / '_base_').mkdir()
    (tmp_path / '_base_' / 'base.py').write_text("data = dict(n=1, m='x')\n")
    (tmp_path / 'recipe.py').write_text("_base_ = ['_base_/base.py']\nk = 3\n")
    monkeypatch.setattr(config_paths, 'config_root', lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    'name',
    [
        'pauc_mm::recipe.py',
        'pauc_mm::recipe',
        'pauc_mm::/recipe.py',
        'recipe.py',
    ],
)
def test_resolve_config(name, configs):
    assert config_paths.resolve_config(name) == str(configs / 'recipe.py')


def test_unknown_config_names_the_nearest(configs):
    with pytest.raises(FileNotFoundError, match=r"'recip'.*recipe\.py"):
        config_paths.resolve_config('pauc_mm::recip')


def test_list_configs_leaves_out_bases(configs):
    assert config_paths.list_configs() == ['recipe.py']


def test_recipes_are_found_in_the_folder_of_their_method():
    near = config_paths.near_configs('configs/pcl_tiny_digits.py')
    assert near[0] == 'pcl/pcl_tiny_digits.py'
    # A recipe with a short path is named by it.
    assert config_paths.near_configs('pauc_tiny_digit') == [
        'pauc_tiny_digits.py',
        'pcl/pcl_tiny_digits.py',
        'pcl/pclv2_tiny_digits.py',
    ]


@pytest.mark.parametrize('base', ['recipe.py', '_base_/base.py'])
def test_config_inherits_from_the_package(base, configs, tmp_path):
    child = tmp_path / 'child.py'
    child.write_text(f"_base_ = 'pauc_mm::{base}'\ndata = dict(n=2)\n")
    cfg = Config.fromfile(child)
    assert cfg.data == dict(n=2, m='x')


def test_inherited_types_are_built_in_the_scope_of_mmpretrain(
    configs, tmp_path
):
    (configs / 'recipe.py').write_text("model = dict(type='PAUC')\n")
    child = tmp_path / 'child.py'
    child.write_text("_base_ = 'pauc_mm::recipe.py'\n")
    model = Config.fromfile(child).model
    assert model == dict(type='PAUC', _scope_='mmpretrain')


def test_other_packages_resolve_without_pkg_resources(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pkg_resources', None)
    child = tmp_path / 'child.py'
    child.write_text("_base_ = 'mmpretrain::resnet/resnet50_8xb32_in1k.py'\n")
    assert Config.fromfile(child).model.backbone.depth == 50


def test_unknown_packages_are_still_refused(tmp_path):
    child = tmp_path / 'child.py'
    child.write_text("_base_ = 'nonsense::a/b.py'\n")
    with pytest.raises(AssertionError, match='nonsense'):
        Config.fromfile(child)


def test_lookups():
    assert config_module.get_installed_path is config_paths.get_installed_path
    assert mmengine.utils.is_installed is config_paths.is_installed
    path = config_paths.get_installed_path('pauc_mm')
    assert osp.realpath(path) == str(ROOT / 'pauc_mm')
    assert config_paths.is_installed('POT')  # a distribution, not a module
    assert not config_paths.is_installed('no-such-package')


def test_install_is_idempotent():
    before = Config._get_cfg_path
    install()
    assert Config._get_cfg_path is before


def test_config_root_of_this_tree_has_the_metafile():
    assert (config_paths.config_root() / 'pauc/metafile.yml').is_file()


def test_no_configs_at_all(tmp_path, monkeypatch):
    fake = tmp_path / 'pauc_mm' / 'compat' / 'config_paths.py'
    monkeypatch.setattr(config_paths, '__file__', str(fake))
    with pytest.raises(FileNotFoundError, match='metafile.yml'):
        config_paths.config_root()
