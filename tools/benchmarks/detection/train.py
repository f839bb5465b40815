# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Fine-tune a detector of mmdet from a pretrained backbone."""

from pauc_mm.apis.fine_tune import train_detector
from pauc_mm.apis.tool import run_tool

if __name__ == '__main__':
    run_tool(train_detector)
