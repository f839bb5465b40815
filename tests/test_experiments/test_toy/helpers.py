# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Sizes at which a run takes a moment."""

from experiments.toy import Settings

TINY = Settings(
    samples=350,
    held_out=20,
    rounds=3,
    warmup_rounds=1,
    steps=3,
    batch_size=64,
    queue_len=128,
    width=16,
)
