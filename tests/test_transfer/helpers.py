# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Features, folders of images and a folder of VOC, all small."""

import numpy as np
import torch
from PIL import Image

COLOURS = dict(blue=(0, 0, 255), green=(0, 255, 0), red=(255, 0, 0))


def digits():
    """Pixels of scikit-learn's digits: training and test, (N, 64)."""
    from sklearn.datasets import load_digits

    from pauc_mm.datasets.packaged_images import held_out_split

    data = load_digits()
    parts = []
    for split in ('train', 'test'):
        rows = held_out_split(data.target, split, 36)
        parts.append(torch.from_numpy(data.data[rows]).float())
        parts.append(torch.from_numpy(data.target[rows]))
    return parts


def clusters(classes=3, members=20, dim=5, noise=1.0, seed=0):
    """Features around a centre for each class, and their labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat_interleave(members)
    centres = torch.randn(
        classes, dim, generator=torch.Generator().manual_seed(99)
    )
    spread = torch.randn(len(labels), dim, generator=generator)
    return centres[labels] + noise * spread, labels


def write_image(path, colour, seed):
    rng = np.random.default_rng(seed)
    image = np.array(colour) + rng.normal(0, 40, (24, 30, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(path)


def write_folders(root, numbers, classes=tuple(COLOURS)):
    """One sub-folder for each class, images named after their number."""
    for c, name in enumerate(classes):
        for i in numbers:
            write_image(root / name / f'{i}.png', COLOURS[name], 100 * c + i)
    return root


def write_voc(root, labels):
    """A folder of VOC: {split: {class: {image: label}}}; colours mixed."""
    folder = root / 'VOCdevkit' / 'VOC2007'
    lists = folder / 'ImageSets' / 'Main'
    lists.mkdir(parents=True)
    number = 0  # images of both splits differ
    for split, classes in labels.items():
        mixed = {}
        for name, column in classes.items():
            text = ''.join(f'{i} {label:2d}\n' for i, label in column.items())
            (lists / f'{name}_{split}.txt').write_text(text)
            for i, label in column.items():
                colour = np.array(COLOURS[name]) * (label == 1)
                mixed[i] = mixed.get(i, 0) + colour
        (lists / f'{split}.txt').write_text('\n'.join(mixed))
        for i, colour in mixed.items():
            number += 1
            write_image(folder / 'JPEGImages' / f'{i}.jpg', colour, number)
    return root
