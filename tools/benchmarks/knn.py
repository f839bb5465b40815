# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measure the kNN accuracy of frozen features."""

from pauc_mm.apis.evaluate import knn

if __name__ == '__main__':
    knn()
