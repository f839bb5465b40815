# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Write a labelled part of a data set."""

from pauc_mm.apis.draw_subset import main
from pauc_mm.apis.tool import run_tool

if __name__ == '__main__':
    run_tool(main)
