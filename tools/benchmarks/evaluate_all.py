# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Run every evaluation of the papers that data allows."""

from pauc_mm.apis.evaluate_all import main

if __name__ == '__main__':
    main()
