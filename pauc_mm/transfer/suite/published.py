# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Published results of a ResNet-50 pretrained on ImageNet.

In percent, by row of the table and method, from ``published.json``. Unless a
row says otherwise, networks were pretrained for 200 epochs on ImageNet-1k;
those of the rows of ImageNet-100 on ImageNet-100.
"""

import json
from pathlib import Path

_DATA = json.loads(Path(__file__).with_suffix('.json').read_text('utf-8'))
METHODS: list[str] = _DATA['methods']
PUBLISHED: dict[str, dict[str, float]] = {
    row: entry['percent'] for row, entry in _DATA['rows'].items()
}
SOURCES: dict[str, str] = {
    row: entry['source'] for row, entry in _DATA['rows'].items()
}
SHOTS = (1, 2, 4, 8, 16)
