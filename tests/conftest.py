# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Fixtures of all tests."""

import pytest
from mmengine.registry import DefaultScope


@pytest.fixture(autouse=True)
def no_scope_of_other_tests(monkeypatch):
    # mmengine keeps the scope of the last Runner for the whole process.
    monkeypatch.setattr(
        DefaultScope, '_instance_dict', type(DefaultScope._instance_dict)()
    )
