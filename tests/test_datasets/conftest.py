# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
import logging

import pytest
from mmengine.logging import MMLogger


@pytest.fixture
def log_lines():
    """Messages of mmengine's current logger."""
    messages = []

    class Keep(logging.Handler):
        def emit(self, record):
            messages.append(record.getMessage())

    logger, handler = MMLogger.get_current_instance(), Keep()
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)
