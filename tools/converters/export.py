# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Write the encoder of a checkpoint for another program."""

from pauc_mm.apis.export import main
from pauc_mm.apis.tool import run_tool

if __name__ == '__main__':
    run_tool(main)
