# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What holds for all tests."""

import gc

import mmengine.config.config as mmengine_config
import pytest
from mmengine.registry import DefaultScope

from pauc_mm.engine.hooks import clustering_hook


def pytest_collection_finish():
    # mmengine collects garbage for each data set that it builds; what the
    # imports have made need not be looked through every time.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope='session')
def configs_as_they_are():
    # Each checkpoint holds the config's text. Its layout takes yapf more time
    # than the run of a test.
    with pytest.MonkeyPatch.context() as patch:
        # OpenMMLab's continuation has no such layout.
        patch.setattr(
            mmengine_config,
            'FormatCode',
            lambda text, **_: (text, True),
            raising=False,
        )
        yield


@pytest.fixture(autouse=True)
def no_scope_of_other_tests(monkeypatch):
    # mmengine keeps the scope of the last Runner for the whole process.
    scopes = type(DefaultScope._instance_dict)()
    monkeypatch.setattr(DefaultScope, '_instance_dict', scopes)


@pytest.fixture(autouse=True)
def no_plan_at_the_start(monkeypatch):
    # It measures this machine, which takes longer than most tests.
    monkeypatch.setattr(clustering_hook, 'log_plan', lambda *_: None)
