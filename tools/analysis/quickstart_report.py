# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Compare a model before and after pretraining."""

from pauc_mm.apis.quickstart_report import main
from pauc_mm.apis.tool import run_tool

if __name__ == '__main__':
    run_tool(main)
