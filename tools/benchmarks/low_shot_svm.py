# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Train linear SVMs on frozen features of few images."""

from pauc_mm.apis.evaluate import low_shot_svm

if __name__ == '__main__':
    low_shot_svm()
