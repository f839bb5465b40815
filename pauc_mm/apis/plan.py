# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""``tools/analysis/plan.py``: what a training will cost."""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmpretrain.models.selfsup import BaseSelfSupervisor
from mmpretrain.registry import DATASETS, HOOKS, MODELS
from PIL import Image

from pauc_mm.datasets.data_layout import check_layout
from pauc_mm.datasets.dataset_views import base_dataset, with_pipeline
from pauc_mm.engine.checks.config_keys import check_config_keys
from pauc_mm.engine.plan import GPUS, Images, as_table, plan_training
from pauc_mm.utils.checks import check_integer
from pauc_mm.utils.device import pick_device

from .arguments import Parser, add_config_arguments, check_outputs
from .config import enable_amp, find_config, load_config

DESCRIPTION = """\
Say what a training will cost before it is spent: steps, memory, time to train
and to cluster, cores to load the images, checkpoints. Operations and bytes are
counted. Times are operations by the speed of this device, which is measured in
about a second, or by the published speed of another.
"""
EXAMPLES = """examples:
  P=tools/analysis/plan.py
  python $P configs/pauc_r50_8xb32_in1k.py --gpus 8
  python $P configs/pauc_r50_8xb32_in1k.py --gpus 64 --device V100 --amp \\
      --images 14000000 100000000 --json plan.json
  DATA_ROOT=/my/images python $P configs/pauc_r18_folder.py
"""
# Images of training sets that a recipe names, where the folder is not here.
KNOWN = dict(ImageNet=1281167, ImageNet100=126689)


def get_parser() -> Parser:
    """Return the command line of plan."""
    parser = Parser(DESCRIPTION, EXAMPLES, 'plan')
    add_config_arguments(parser)
    parser.value('--gpus N', 1, 'processes, a device each')
    parser.value(
        '--images N',
        [int],
        'images of the training set, a column each; default: those that are '
        "there, or ImageNet's for its recipes",
    )
    parser.value(
        '--device',
        'auto',
        'what trains: this CPU, this GPU, or one whose speed was published; '
        'auto: this GPU if there is one, else A100 for several processes, '
        'else this CPU',
        choices=['auto', 'cpu', 'cuda', *GPUS],
    )
    parser.value('--json FILE', str, 'write the numbers there too')
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Plan and print."""
    parser = get_parser()
    parser.set_defaults(launcher='none', work_dir=None, local_rank=0)
    args = parser.parse_args(argv)
    check_outputs(parser, json=args.json)
    check_integer('--gpus', args.gpus, 1)
    cfg = load_config(args, find_config(args.config, parser))
    check_config_keys(cfg)
    if cfg.get('train_cfg') is None:
        parser.error(f"'{args.config}' trains nothing: it has no train_cfg")
    if args.amp:
        enable_amp(cfg)
    device = pick_device(args.device) if args.device not in GPUS else 'cpu'
    gpu = args.device if args.device in GPUS else None
    if args.device == 'auto' and device == 'cpu' and args.gpus > 1:
        gpu = 'A100'
    init_default_scope(cfg.get('default_scope', 'mmpretrain'))
    data = cfg.get('data_preprocessor')
    model = MODELS.build({'data_preprocessor': data, **cfg.model}).to(device)
    if not isinstance(model, BaseSelfSupervisor):
        parser.error(
            f"'{args.config}' trains a {type(model).__name__}; only what "
            'pretraining costs is known'
        )
    hook = (cfg.get('default_hooks') or {}).get('clustering')
    hook = HOOKS.build(hook) if hook else None
    dataset, images = find_images(cfg, args.images)
    inner = cfg.train_dataloader.dataset
    while 'dataset' in inner:  # repeated, or with balanced classes
        inner = inner.dataset
    pipelines = [
        Compose(list(pipeline))
        for pipeline in (inner.pipeline, (hook or inner).pipeline)
    ]
    if hasattr(model.data_preprocessor, 'take_over'):  # DeviceAugmentation
        model.data_preprocessor.take_over(pipelines[0])
    with tempfile.TemporaryDirectory() as folder:
        plans, origin = plan_training(
            cfg,
            model.eval(),
            hook,
            make_loaders(dataset, pipelines, folder),
            images,
            args.gpus,
            gpu,
        )
    if dataset is None:
        origin += ', of a JPEG of 500 x 375'
    print(
        f'{args.config}: {type(model).__name__}, {args.gpus} process(es)\n\n'
        f'{as_table(plans)}\n\nMemory and operations are counted, those of '
        f'one process. Speeds: {origin}.'
    )
    if args.json:
        text = json.dumps(dict(plans=plans, speeds=origin), indent=1)
        Path(args.json).write_text(text + '\n', encoding='utf-8')


def find_images(
    cfg: Config, asked: Sequence[int] | None
) -> tuple[Any, list[Images]]:
    """Return the training set if its data is here, and numbers of images.

    Raises:
        FileNotFoundError: If nothing tells how many there are.
    """
    config, dataset = cfg.train_dataloader.dataset, None
    try:
        check_layout('train_dataloader.dataset', config)
        dataset = DATASETS.build(config)
        numbers = [Images(len(base_dataset(dataset)), len(dataset))]
    except FileNotFoundError as error:
        known = None if config.get('ann_file') else KNOWN.get(config.type)
        if known is None and not asked:
            raise FileNotFoundError(
                f'{error} Or say how many images it will have: --images.'
            ) from error
        numbers = [Images(known, known)]
    if asked:
        for number in asked:
            check_integer('--images', number, 1)
        numbers = [Images(number, number) for number in asked]
    return dataset, numbers


def make_loaders(
    dataset: Any, pipelines: Sequence[Compose], folder: str
) -> list[Callable[[int], dict]]:
    """Return what loads an image by its index, for each pipeline.

    Without a data set it is one JPEG of smooth noise, in the folder.
    """
    if dataset is not None:
        number = len(base_dataset(dataset))
        views = [with_pipeline(dataset, pipeline) for pipeline in pipelines]
        # The factor is prime: the images are spread over the folders.
        return [lambda i, v=v: v[i * 7919 % number] for v in views]
    path = Path(folder) / 'image.jpg'
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    Image.fromarray(noise).resize((500, 375), 3).save(path, quality=95)
    source = dict(img_path=str(path), sample_idx=0, gt_label=0)
    return [lambda i, p=p: p(dict(source)) for p in pipelines]
