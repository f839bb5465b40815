# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measure the prototypes of checkpoints alone: no images, no backbone."""

from pauc_mm.apis.prototypes import main
from pauc_mm.apis.tool import run_tool

if __name__ == '__main__':
    run_tool(main)
