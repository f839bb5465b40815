# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Experiments of this repository; not part of the installed package."""
