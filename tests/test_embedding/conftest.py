# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from tests.test_diagnosis.conftest import photos  # noqa: F401
