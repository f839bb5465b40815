# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Write the encoder of any checkpoint for other programs."""

from .export import FORMATS, Exported, export

__all__ = ['FORMATS', 'Exported', 'export']
