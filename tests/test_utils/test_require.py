# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import sys

import pytest

from pauc_mm.utils import require as file


@pytest.fixture
def installed(monkeypatch):
    """Distributions with faiss in them."""
    names = {}
    monkeypatch.setattr(file, 'installed_versions', lambda _: names)
    file._check_one_faiss.cache_clear()
    yield names
    file._check_one_faiss.cache_clear()


def test_a_module_is_imported(installed):
    installed['faiss-gpu'] = '1.15.1'
    assert file.require('faiss', 'faiss-cpu', 'k-means').Kmeans


def test_two_packages_of_faiss_are_refused(installed):
    installed.update({'faiss-cpu': '1.15.1', 'faiss-gpu': '1.15.1'})
    fix = 'pip uninstall -y faiss-cpu faiss-gpu && pip install faiss-cpu'
    with pytest.raises(ImportError, match=fix):
        file.require('faiss', 'faiss-cpu', 'k-means')


@pytest.mark.parametrize(
    'text, fix',
    [
        (None, 'pip install nowhere'),
        ('raise OSError("libcudart.so.12")', 'install --force-reinstall'),
    ],
)
def test_missing_and_broken(tmp_path, monkeypatch, text, fix):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'nowhere', raising=False)
    if text is not None:
        (tmp_path / 'nowhere.py').write_text(text)
    with pytest.raises(ImportError, match=fix):
        file.require('nowhere', 'nowhere', 'k-means')
