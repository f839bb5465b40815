# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Published results of a ResNet-50 pretrained on ImageNet.

In percent, by row of the table and method. Unless a row says otherwise,
networks were pretrained for 200 epochs on ImageNet-1k.
"""

from __future__ import annotations

PCL = 'PCL (arXiv 2005.04966)'
PAUC = 'PAUC (arXiv 2210.10194)'
MOCO = "MoCo's repository (facebookresearch/moco, README and detection)"

METHODS = (
    'random',
    'supervised',
    'MoCo',
    'MoCo v2',
    'SimCLR',
    'PCL',
    'PCL v2',
    'SwAV',
    'CLD',
    'PAUC',
)
SHOTS = (1, 2, 4, 8, 16)

_LOW_SHOT = {
    'voc07': {
        'random': (8.0, 8.2, 8.2, 8.2, 8.5),
        'supervised': (54.3, 67.8, 73.9, 79.6, 82.3),
        'MoCo': (31.4, 42.0, 49.5, 60.0, 65.9),
        'SimCLR': (32.7, 43.1, 52.5, 61.0, 67.1),
        'PCL': (46.9, 56.4, 62.8, 70.2, 74.3),
        'PCL v2': (47.9, 59.6, 66.2, 74.5, 78.3),
    },
    'places205': {
        'random': (0.7, 0.7, 0.7, 0.7, 0.7),
        'supervised': (14.9, 21.0, 26.9, 32.1, 36.0),
        'MoCo': (8.8, 13.2, 18.2, 23.2, 28.0),
        'SimCLR': (9.4, 14.2, 19.3, 23.7, 28.3),
        'PCL': (11.3, 15.7, 19.5, 24.1, 28.4),
        'PCL v2': (12.5, 17.5, 23.2, 28.1, 32.3),
    },
}

PUBLISHED: dict[str, dict[str, float]] = {
    'imagenet top-1': {
        'MoCo': 60.6,
        'MoCo v2': 67.5,
        'SimCLR': 61.9,
        'PCL': 61.5,
        'PCL v2': 67.6,
        'SwAV': 72.7,
        'CLD': 71.5,
        'PAUC': 75.16,
    },
    # Pretrained on ImageNet-100.
    'imagenet100 top-1': {
        'MoCo': 72.80,
        'PCL': 76.17,
        'PCL v2': 78.35,
        'SwAV': 80.20,
        'CLD': 81.50,
        'PAUC': 84.46,
    },
    'imagenet100 top-5': {
        'MoCo': 91.64,
        'PCL': 93.52,
        'PCL v2': 94.25,
        'SwAV': 95.02,
        'CLD': 95.48,
        'PAUC': 97.15,
    },
    'imagenet kNN': {'MoCo': 47.1, 'PCL': 54.5},
    'places205 top-1': {'MoCo': 48.9, 'PCL': 49.2, 'PCL v2': 50.3},
    'voc07 SVM full': {'MoCo': 79.2, 'PCL': 82.3, 'PCL v2': 85.4},
    'imagenet 1% top-5': {
        'random': 22.0,
        'supervised': 48.4,
        'MoCo': 56.9,
        'SimCLR': 56.5,
        'PCL': 75.3,
    },
    'imagenet 10% top-5': {
        'random': 59.0,
        'supervised': 80.4,
        'MoCo': 83.0,
        'SimCLR': 82.7,
        'PCL': 85.6,
    },
    'voc07 frozen AP50': {'supervised': 72.8, 'MoCo': 66.4, 'PCL': 71.7},
    'voc0712 frozen AP50': {'supervised': 79.3, 'MoCo': 73.5, 'PCL': 78.5},
    'voc0712 C4 AP': {'supervised': 53.5, 'MoCo': 55.9, 'MoCo v2': 57.0},
    'voc0712 C4 AP50': {'supervised': 81.3, 'MoCo': 81.5, 'MoCo v2': 82.4},
    'voc0712 C4 AP75': {'supervised': 58.8, 'MoCo': 62.6, 'MoCo v2': 63.6},
    'coco C4 box AP': {'supervised': 40.0, 'MoCo': 40.7, 'PCL': 41.0},
    'coco C4 mask AP': {'supervised': 34.7, 'MoCo': 35.4, 'PCL': 35.6},
    **{
        f'{data} SVM k={k}': {m: row[i] for m, row in methods.items()}
        for data, methods in _LOW_SHOT.items()
        for i, k in enumerate(SHOTS)
    },
}

SOURCES: dict[str, str] = {
    'imagenet top-1': f'{PAUC}, table 3; SimCLR: {PCL}, table 3; MoCo v2: '
    f'{MOCO}. For MoCo v2 PAUC prints 71.1, which is that of 800 epochs.',
    'imagenet100 top-1': f'{PAUC}, table 2',
    'imagenet100 top-5': f'{PAUC}, table 2',
    'imagenet kNN': f'{PCL}, table 4',
    'places205 top-1': f'{PCL}, table 3',
    'voc07 SVM full': f'{PCL}, table 3',
    'imagenet 1% top-5': f'{PCL}, table 2',
    'imagenet 10% top-5': f'{PCL}, table 2',
    'voc07 frozen AP50': f'{PCL}, table 5',
    'voc0712 frozen AP50': f'{PCL}, table 5',
    'voc0712 C4 AP': MOCO,
    'voc0712 C4 AP50': MOCO,
    'voc0712 C4 AP75': MOCO,
    'coco C4 box AP': f'{PCL}, table 6',
    'coco C4 mask AP': f'{PCL}, table 6',
    **{
        f'{data} SVM k={k}': f'{PCL}, table 1'
        for data in _LOW_SHOT
        for k in SHOTS
    },
}
