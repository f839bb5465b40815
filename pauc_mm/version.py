# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The version of pauc_mm; pyproject.toml reads it without importing."""

__version__ = '0.1.0'
