# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measure the kNN accuracy of frozen features."""

from pauc_mm.apis.evaluate import knn
from pauc_mm.apis.tool import run_tool

if __name__ == '__main__':
    run_tool(knn)
