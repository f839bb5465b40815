# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Run every evaluation of the papers that data allows."""

from pauc_mm.apis.evaluate_all import main
from pauc_mm.apis.tool import run_tool

if __name__ == '__main__':
    run_tool(main)
