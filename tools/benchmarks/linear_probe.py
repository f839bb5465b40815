# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Train a linear classifier on frozen features."""

from pauc_mm.apis.evaluate import linear_probe

if __name__ == '__main__':
    linear_probe()
