# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Time what a core loads and augments, and what is left to a device.

An image gives two views of 224 pixels. The images are JPEGs of 500 x 375
pixels, as ImageNet's are on average, of random fields with a spectrum of 1/f,
unless ``--images`` names others. A core's time is that of the process, so that
others on the machine count little.
"""

from __future__ import annotations

import functools
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from _harness import Report, get_parser, interleave, parse, positive
from _models import CONFIGS
from _report import resampled_ratio
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

from pauc_mm.models.device_augmentation import take_end

RECIPES = {
    'v1': 'pauc/pauc_r50_8xb32_in1k.py',
    'v2': 'pcl/pclv2_r50_8xb32_in1k.py',
}
BEFORE = "torchvision's jitter on PIL images"
CPU, DEVICE = 'recipe', 'recipe, DeviceAugmentation'
# What the recipes had before: MoCo's augmentation by mmpretrain's transforms.
CROP = dict(
    type='RandomResizedCrop',
    scale=224,
    crop_ratio_range=(0.2, 1.0),
    backend='pillow',
)
GREY = dict(
    type='RandomGrayscale',
    prob=0.2,
    keep_channels=True,
    channel_weights=(0.114, 0.587, 0.2989),
)
BLUR = dict(
    type='GaussianBlur',
    magnitude_range=(0.1, 2.0),
    magnitude_std='inf',
    prob=0.5,
)
FLIP = dict(type='RandomFlip', prob=0.5)


def view_before(version: str) -> list[dict]:
    """Return the transforms of a view, as they were."""
    strength = dict(brightness=0.4, contrast=0.4, saturation=0.4)
    jitter = [
        dict(type='NumpyToPIL', to_rgb=True),
        dict(
            type='torchvision/ColorJitter',
            hue=0.4 if version == 'v1' else 0.1,
            **strength,
        ),
        dict(type='PILToNumpy', to_bgr=True),
    ]
    if version == 'v1':
        return [CROP, GREY, *jitter, FLIP]
    maybe = dict(type='RandomApply', transforms=jitter, prob=0.8)
    return [CROP, maybe, GREY, BLUR, FLIP]


def pipelines(version: str) -> dict:
    """Return what turns a path into two views, by name."""
    steps = Config.fromfile(CONFIGS / RECIPES[version]).train_pipeline
    load, multi, pack = steps

    def compose(view):
        return Compose([load, dict(multi, transforms=[view]), pack])

    found = {
        BEFORE: compose(view_before(version)),
        CPU: compose(multi.transforms[0]),
        DEVICE: compose(multi.transforms[0]),
    }
    take_end(found[DEVICE].transforms[1].pipelines[0].transforms)
    if version == 'v2':
        theirs = view_before(version)
        # mmpretrain's jitter; its hue overflows with NumPy 2.
        strength = dict(brightness=0.4, contrast=0.4, saturation=0.4)
        jitter = dict(type='ColorJitter', **strength)
        theirs[1] = dict(theirs[1], transforms=[jitter])
        found["mmpretrain's MoCo v2, without hue"] = compose(theirs)
    if lightly := _lightly(version):
        found[lightly[0]] = lightly[1]
    return found


def _lightly(version: str):
    try:
        import lightly
        from lightly import transforms
    except ImportError:
        return None
    from PIL import Image

    transform = getattr(transforms, f'MoCo{version.upper()}Transform')()

    def load(results):
        with Image.open(results['img_path']) as image:
            return transform(image.convert('RGB'))

    return f"lightly {lightly.__version__}'s MoCo {version}", load


def write_images(folder: Path, number: int, seed: int) -> None:
    """Write JPEGs of smooth fields with noise."""
    rng = np.random.default_rng(seed)
    height, width = 375, 500
    frequency = np.hypot(
        np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    )
    frequency[0, 0] = 1
    for i in range(number):
        noise = np.fft.rfft2(rng.standard_normal((4, height, width)))
        fields = np.fft.irfft2(noise / frequency, s=(height, width))
        fields /= fields.std(axis=(1, 2), keepdims=True)
        image = (
            128
            + 40 * fields[3, ..., None]
            + 25 * fields[:3].transpose(1, 2, 0)
        )
        image = image.clip(0, 255).astype(np.uint8)
        quality = [cv2.IMWRITE_JPEG_QUALITY, 90]
        cv2.imwrite(str(folder / f'{i:03d}.jpg'), image, quality)


def main(argv=None) -> None:
    """Measure and print."""
    parser = get_parser(__doc__, repeats=7)
    add = parser.add_argument
    add('--images', metavar='DIR', help='JPEGs to take instead')
    add('--number', type=positive, default=100, help='images')
    add('--batch', type=positive, default=32, help='images on the device')
    parser.set_defaults(threads=1)
    args = parse(parser, argv)
    if args.small:
        args.number, args.batch = 4, 2
    init_default_scope('mmpretrain')
    cv2.setNumThreads(0)  # as in a worker of the recipes
    report = Report('Loading and augmentation', args)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(args.images or folder)
        if not args.images:
            write_images(folder, args.number, args.seed)
        files = sorted(map(str, folder.glob('*.jp*g')))[: args.number]
        if not files:
            parser.error(f'--images {folder}: there is no JPEG.')
        size = np.mean([Path(file).stat().st_size for file in files])
        report.note(f'{len(files)} JPEGs of {size / 1024:.0f} KiB on average.')
        for version in RECIPES:
            _time_a_core(report, version, files, args)
            _time_the_device(report, version, files, args)
    report.save()


def _time_a_core(report: Report, version: str, files: list, args) -> None:
    found = pipelines(version)
    if not any('lightly' in name for name in found):
        report.note('lightly is not installed.')

    def load(pipeline):
        for i, file in enumerate(files):
            pipeline(dict(img_path=file, sample_idx=i))

    timings = interleave(
        {name: functools.partial(load, run) for name, run in found.items()},
        args.repeats,
        args.warmup,
        progress=f'MoCo {version}',
        clock=time.process_time,
    )
    before = timings[BEFORE]
    rows = []
    for name, timing in timings.items():
        low, high = resampled_ratio(before, timing)
        each = timing.median / len(files)
        faster = before.median / timing.median
        rows.append(
            [name, each * 1e3, 1 / each, faster, f'{low:.2f} to {high:.2f}']
        )
    header = ['', 'ms an image', 'images a second and core', 'times as fast']
    header.append('95% of resampled rounds')
    report.table(f'MoCo {version}, one core', header, rows)


def _time_the_device(report: Report, version: str, files: list, args) -> None:
    """Time the preprocessor on a batch of crops."""
    cfg = Config.fromfile(CONFIGS / RECIPES[version])
    crops, alone = pipelines(version)[DEVICE], cfg.data_preprocessor.to_dict()
    batch = default_collate(
        [
            crops(dict(img_path=files[i % len(files)], sample_idx=i))
            for i in range(args.batch)
        ]
    )
    augmenting = MODELS.build(dict(alone, type='DeviceAugmentation'))
    steps = take_end(Compose(cfg.view_pipeline).transforms)
    augmenting.views = [steps, steps]  # as check_setup() takes them over
    augmenting.seed_run(args.seed)
    hub = MessageHub.get_current_instance()
    parts = {'normalised': MODELS.build(alone), 'augmented, too': augmenting}
    epochs = iter(range(10**6))

    def run(part):
        hub.update_info('epoch', next(epochs))
        return part.to(args.device)(dict(batch), training=True)

    timings = interleave(
        {name: functools.partial(run, part) for name, part in parts.items()},
        args.repeats,
        args.warmup,
        args.device,
    )
    report.timings(
        f'MoCo {version}, {args.batch} pairs of crops on {args.device}',
        timings,
        'normalised',
    )


if __name__ == '__main__':
    main()
