# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Train a linear classifier on frozen features."""

from pauc_mm.apis.evaluate import linear_probe
from pauc_mm.apis.tool import run_tool

if __name__ == '__main__':
    run_tool(linear_probe)
