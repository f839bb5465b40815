# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Embed a data set with a self-supervised model."""
