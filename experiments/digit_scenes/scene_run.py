# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from dataclasses import dataclass


@dataclass(frozen=True)
class SceneRun:
    """One training.

    Args:
        detector (str): 'faster-rcnn' or 'mask-rcnn'.
        backbone (str): 'frozen' or 'trained'.
        start (str): What the backbone begins with, a name for the table.
        seed (int): Of the new layers, the order, and random weights.
        checkpoint (str): File, or 'none' for random weights.
    """

    detector: str
    backbone: str
    start: str
    seed: int
    checkpoint: str

    def __str__(self) -> str:
        return f'{self.detector}_{self.backbone}_{self.start}_{self.seed}'
