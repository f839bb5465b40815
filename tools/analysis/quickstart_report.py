# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Compare a model before and after pretraining."""

from pauc_mm.apis.quickstart_report import main

if __name__ == '__main__':
    main()
