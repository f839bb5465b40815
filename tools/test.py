# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Evaluate a checkpoint with the metrics of a config."""

from pauc_mm.apis.test import main
from pauc_mm.apis.tool import run_tool

if __name__ == '__main__':
    run_tool(main)
