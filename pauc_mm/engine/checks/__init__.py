# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Checks of a training setup, made before the first epoch."""
