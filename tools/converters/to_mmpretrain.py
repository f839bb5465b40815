# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Write the ResNet of any known checkpoint for mmpretrain."""

from pauc_mm.apis.convert import to_mmpretrain

if __name__ == '__main__':
    to_mmpretrain()
