# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""What processes that tests start have done already: imports take longest."""

import faiss  # noqa: F401
import matplotlib.pyplot  # noqa: F401
import mmengine.config.config as mmengine_config
import mmengine.runner  # noqa: F401
import mmengine.visualization  # noqa: F401
import pytest  # noqa: F401
import sklearn.metrics  # noqa: F401

import pauc_mm.engine.launch  # noqa: F401
import tests.helpers  # noqa: F401


def plain_layout(text, **options):
    """Lay no config out: yapf takes more time than the run of a test."""
    return text, True


mmengine_config.FormatCode = plain_layout
