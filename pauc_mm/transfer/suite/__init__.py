# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Run all evaluations of one checkpoint beside published results."""
