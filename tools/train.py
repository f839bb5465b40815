# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Train a model from a config."""

from pauc_mm.apis.tool import run_tool
from pauc_mm.apis.train import main

if __name__ == '__main__':
    run_tool(main)
