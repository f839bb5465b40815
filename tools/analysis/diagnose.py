# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Diagnose collapse of any self-supervised checkpoint."""

from pauc_mm.apis.diagnose import main
from pauc_mm.apis.tool import run_tool

if __name__ == '__main__':
    run_tool(main)
