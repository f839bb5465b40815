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
from pauc_mm.utils.shipped_files import resolve_config

ROOT = Path(pauc_mm.__file__).resolve().parents[1]


@pytest.mark.parametrize(
    'base', ['pauc/pauc_tiny_digits.py', '_base_/datasets/digits.py']
)
def test_config_inherits_from_the_package(base, tmp_path):
    child = tmp_path / 'child.py'
    child.write_text(
        f"_base_ = 'pauc_mm::{base}'\ntrain_dataloader = dict(batch_size=7)\n"
    )
    loader = Config.fromfile(child).train_dataloader
    expected = Config.fromfile(resolve_config(base)).train_dataloader
    assert loader.batch_size == 7 != expected.batch_size
    assert loader.sampler.type == expected.sampler.type


def test_inherited_types_are_built_in_the_scope_of_mmpretrain(tmp_path):
    child = tmp_path / 'child.py'
    child.write_text("_base_ = 'pauc_mm::pauc/pauc_tiny_digits.py'\n")
    model = Config.fromfile(child).model
    assert model.type == 'PAUC' and model['_scope_'] == 'mmpretrain'


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
