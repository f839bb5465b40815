# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Say what a training will cost before it is spent."""

from pauc_mm.apis.plan import main
from pauc_mm.apis.tool import run_tool

if __name__ == '__main__':
    run_tool(main)
