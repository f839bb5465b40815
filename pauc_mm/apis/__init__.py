# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Functions behind the command-line tools."""
