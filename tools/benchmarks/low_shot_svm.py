# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Train linear SVMs on frozen features of few images."""

from pauc_mm.apis.evaluate import low_shot_svm
from pauc_mm.apis.tool import run_tool

if __name__ == '__main__':
    run_tool(low_shot_svm)
