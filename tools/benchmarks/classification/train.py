# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Train a classifier on a pretrained backbone."""

from pauc_mm.apis.fine_tune import train_classifier
from pauc_mm.apis.tool import run_tool

if __name__ == '__main__':
    run_tool(train_classifier)
