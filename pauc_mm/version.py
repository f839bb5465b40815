# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The version of pauc_mm; setup.py reads it without importing the package."""

__version__ = '0.1.0'
