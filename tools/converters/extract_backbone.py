# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Write the backbone of a training checkpoint."""

from pauc_mm.apis.convert import extract_backbone
from pauc_mm.apis.tool import run_tool

if __name__ == '__main__':
    run_tool(extract_backbone)
