# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Fine-tune a detector of mmdet from a pretrained backbone."""

from pauc_mm.apis.fine_tune import train_detector

if __name__ == '__main__':
    train_detector()
