# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Write the ResNet of any known checkpoint for mmpretrain."""

from pauc_mm.apis.convert import to_mmpretrain
from pauc_mm.apis.tool import run_tool

if __name__ == '__main__':
    run_tool(to_mmpretrain)
