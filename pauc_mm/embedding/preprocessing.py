# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""How an image becomes the input of a network: decided here and only here."""

import copy
from collections.abc import Sequence
from typing import Any

from mmengine.dataset import BaseDataset
from mmpretrain.registry import DATASETS

OWN_PIPELINE = "by the pipeline of the checkpoint's config"


def file_pipeline(
    encoder: Any, image_size: int | None = None
) -> tuple[list[dict], bool, str]:
    """Decide how image files are loaded for a network.

    As the config tests, if its pipeline reads files. Else the centre is
    cropped, to the side of the images that the config tests on or, failing
    that, trains on. Without a config the side is ImageNet's, 224. All of this
    is overruled by ``image_size``, the side of the crop in pixels.

    Returns:
        tuple[list[dict], bool, str]: The transforms, whether they give
        channels in the order blue, green, red, and what decided.

    Raises:
        ValueError: If the config does not tell the size, or no pipeline
            tells how images of so many channels are loaded.
    """
    own = copy.deepcopy(list(encoder.pipeline or []))
    if image_size is None and loads_files(own):
        return own, gives_bgr(encoder, own), OWN_PIPELINE
    training = training_steps(encoder)
    trained = sides(training, 'Crop') or sides(training, 'Resize')
    if image_size is not None:
        side, decided_by = image_size, 'by --image-size'
    elif own and encoder.dataset:
        side = array_side(encoder.dataset, own)
        decided_by = f"as {encoder.dataset['type']} of the checkpoint's config"
    elif noted := (encoder.config or {}).get('image_size'):
        side, decided_by = noted, 'as the converter noted'
    elif trained:
        side, decided_by = max(trained), "as the config's training crops"
    elif own or training:
        raise ValueError(
            'The pipelines of the config do not say how large its images are: '
            'give their side with --image-size.'
        )
    else:
        side = 224
        decided_by = 'assumed, as nothing tells; --image-size changes it'
    loads = [step for step in own if loads_files([step])]
    channels = encoder.channels
    if not loads and channels not in (1, 3):
        raise ValueError(
            f'The network takes images of {channels} channels, and no '
            'pipeline tells how to load such files: name a config that has '
            'val_dataloader.dataset.pipeline with --config.'
        )
    bgr = gives_bgr(encoder, own or training)
    colour = 'grayscale' if channels == 1 else 'color'
    steps = loads or [dict(type='LoadImageFromFile', color_type=colour)]
    if not bgr and channels == 3:
        steps.append(dict(type='NumpyToPIL', to_rgb=True))
        steps.append(dict(type='PILToNumpy'))
    edge = dict(edge='short', backend='pillow')
    steps += [
        dict(type='ResizeEdge', scale=side * 8 // 7, **edge),
        dict(type='CenterCrop', crop_size=side),
        dict(type='PackInputs'),
    ]
    return steps, bgr, decided_by


def loads_files(pipeline: list[dict]) -> bool:
    """Tell whether a pipeline reads image files, not arrays."""
    return any('LoadImage' in str(step['type']) for step in pipeline)


def gives_bgr(encoder: Any, steps: list[dict]) -> bool:
    """Tell whether transforms give blue, green, red, as cv2 loads files."""
    if steps and not loads_files(steps):
        # Arrays are in the order that the config's network expects.
        return bool(encoder.preprocess.get('to_rgb'))
    bgr = True
    for step in steps:
        bgr = (bgr and not step.get('to_rgb')) or bool(step.get('to_bgr'))
    return bgr


def training_steps(encoder: Any) -> list[dict]:
    """Return the transforms of the config's training, views unpacked."""
    loader = (encoder.config or {}).get('train_dataloader') or {}
    dataset = loader.get('dataset') or {}
    while 'pipeline' not in dataset and 'dataset' in dataset:
        dataset = dataset['dataset']

    def unpack(steps: Sequence) -> list[dict]:
        flat: list[dict] = []
        for step in steps:
            inner = step.get('transforms') if isinstance(step, dict) else step
            flat += unpack(inner) if inner else [step]
        return flat

    return unpack(dataset.get('pipeline') or [])


def sides(steps: list[dict], kind: str) -> list[int]:
    """Return the sides in pixels of what transforms of a kind give."""
    found = []
    for step in steps:
        if str(step['type']).endswith(kind):
            side = step.get('size', step.get('crop_size', step.get('scale')))
            found.append(max(side) if isinstance(side, Sequence) else side)
    return [side for side in found if isinstance(side, int)]


def array_side(dataset: dict, pipeline: list[dict]) -> int:
    """Return the side of the images of a config's data set.

    Raises:
        ValueError: If it cannot be built or read.
    """
    cfg = copy.deepcopy(dict(dataset, pipeline=pipeline))
    try:
        return image_shape(DATASETS.build(cfg))[-1]
    except Exception as error:
        raise ValueError(
            'The config of this checkpoint does not say how large its images '
            f'are ({type(error).__name__}: {error}): give their side with '
            '--image-size.'
        ) from error


def image_shape(dataset: BaseDataset) -> list[int]:
    """Return channels, height and width of the first image."""
    inputs = dataset[0]['inputs']
    image = inputs[0] if isinstance(inputs, (list, tuple)) else inputs
    return list(image.shape[-3:])


def describe_input(encoder: Any, source: Any) -> dict:
    """Return what an Encoder is given of an ImageSource, as plain values."""
    channels, height, width = image_shape(source.dataset)
    return dict(
        channels=channels,
        height=height,
        width=width,
        decided_by=source.decided_by,
        pipeline=[repr(step) for step in source.dataset.pipeline.transforms],
        **encoder.preprocess,
    )


def input_line(facts: dict) -> str:
    """Format :func:`describe_input` as one line for the user."""
    return (
        f'network input: {facts["height"]} x {facts["width"]} pixels, '
        f'channels: {facts["channels"]}, {facts["decided_by"]}'
    )
