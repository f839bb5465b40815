# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import pytest

from pauc_mm.utils import shipped_files


@pytest.fixture
def configs(tmp_path, monkeypatch):
    """A folder of configs in the place of the shipped one."""
    (tmp_path / '_base_').mkdir()
    (tmp_path / '_base_' / 'base.py').write_text("data = dict(n=1, m='x')\n")
    (tmp_path / 'recipe.py').write_text("_base_ = ['_base_/base.py']\nk = 3\n")
    monkeypatch.setattr(shipped_files, 'config_root', lambda: tmp_path)
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
    assert shipped_files.resolve_config(name) == str(configs / 'recipe.py')


def test_unknown_config_names_the_nearest(configs):
    with pytest.raises(FileNotFoundError, match=r"'recip'.*recipe\.py"):
        shipped_files.resolve_config('pauc_mm::recip')


def test_list_configs_leaves_out_bases(configs):
    assert shipped_files.list_configs() == ['recipe.py']


def test_recipes_are_found_in_the_folder_of_their_method():
    near = shipped_files.near_configs('configs/pcl_tiny_digits.py')
    assert near[0] == 'pcl/pcl_tiny_digits.py'
    # A recipe with a short path is named by it.
    assert shipped_files.near_configs('pauc_tiny_digit') == [
        'pauc_tiny_digits.py',
        'pcl/pcl_tiny_digits.py',
        'pcl/pclv2_tiny_digits.py',
    ]


def test_config_root_of_this_tree_has_the_metafile():
    assert (shipped_files.config_root() / 'pauc/metafile.yml').is_file()


def test_no_configs_at_all(tmp_path, monkeypatch):
    fake = tmp_path / 'pauc_mm' / 'compat' / 'shipped_files.py'
    monkeypatch.setattr(shipped_files, '__file__', str(fake))
    with pytest.raises(FileNotFoundError, match='metafile.yml'):
        shipped_files.config_root()
