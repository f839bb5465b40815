# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measures of frozen embeddings, as functions, metrics and loops."""

from . import functional, metrics
from .functional import *  # noqa: F403
from .metrics import *  # noqa: F403

__all__ = [*functional.__all__, *metrics.__all__]
