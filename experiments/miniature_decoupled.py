# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Train the methods of compare_decoupled in miniature, seconds a run.

A quarter of everything: every fourth image, at 8 pixels, 256 prototypes in
blocks of 16, 32 dimensions, batches of 64, a third of the steps. The algorithm
and its options are those of the recipes; the augmentation is a random affine
map of the whole batch. Runs that are in the folder are not repeated.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS, MODELS
from mmpretrain.structures import DataSample

from experiments.decoupled import DATA, METHODS, TAILS, study_run
from experiments.runner.prototype_usage import prototype_usage
from experiments.runner.unique_shares_hook import EPSILONS
from pauc_mm.evaluation.functional.knn import knn_predict
from pauc_mm.models import embed_images
from pauc_mm.utils.files import write_text
from pauc_mm.utils.tables import (
    markdown_table,
    mean_and_deviation,
    summary_text,
)

STEPS, BATCH, EVERY = 330, 64, 4
RECORDED = (0, 55, 110, 220, STEPS)
_COLUMNS = {
    'kNN, %': lambda r: 100 * r['knn'],
    'in use': lambda r: r['used'],
    'in use, %': lambda r: 100 * r['used_share'],
    **{
        f'unique at {epsilon:g}, %': lambda r, i=i: 100 * r['unique'][i]
        for i, epsilon in enumerate(EPSILONS)
    },
    'of those in use, at 0.025, %': lambda r: 100 * r['unique_used'][0],
}


def load(dataset: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """Return every fourth image, (n, 1, 8, 8) in [-1, 1], and the labels."""
    built = DATASETS.build({**dataset, 'pipeline': []})
    samples = [built[i] for i in range(0, len(built), EVERY)]
    images = torch.stack([torch.from_numpy(s['img'][..., 0]) for s in samples])
    pooled = F.avg_pool2d(images[:, None].float(), images.shape[-1] // 8)
    labels = torch.tensor([sample['gt_label'] for sample in samples])
    return pooled / 127.5 - 1, labels


def augment(images: torch.Tensor, generator) -> torch.Tensor:
    """Turn, scale and shift each image at random, as the recipes do."""
    draw = torch.rand(4, len(images), generator=generator) * 2 - 1
    angle, size = draw[0] * math.radians(20), 1 / (0.975 + 0.225 * draw[1])
    cosine, sine = size * angle.cos(), size * angle.sin()
    x, y = 0.2 * draw[2:]  # a tenth of the image
    maps = torch.stack([cosine, -sine, x, sine, cosine, y], 1).view(-1, 2, 3)
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    return F.grid_sample(images + 1, grid, align_corners=False) - 1


def train(data: str, tail: str, method: str, seed: int) -> list[dict]:
    """Train once; return a record for each of the recorded steps."""
    cfg = study_run(data, tail, method, seed).load()
    images, _ = load(cfg.train_dataloader.dataset)
    bank = load(cfg.val_cfg.bank_dataloader.dataset)
    held_out = load(cfg.val_dataloader.dataset)
    torch.manual_seed(seed)
    changes = {
        'model.feat_dim': 32,
        'model.neck.out_channels': 32,
        'model.head.num_prototypes': 1024 // EVERY,
        'model.backbone.in_channels': 1,
        'model.backbone.strides': (2, 2, 1),
    }
    if 'annealing_steps' in cfg.model.get('prototypes', {}):
        changes['model.prototypes.annealing_steps'] = STEPS // 3
    cfg.merge_from_dict(changes)
    model = MODELS.build(cfg.model)
    model.init_weights()
    for module in model.modules():
        if hasattr(module, 'seed_run'):
            module.seed_run(seed)
    options = dict(cfg.optim_wrapper.optimizer)
    optimizer = getattr(torch.optim, options.pop('type'))(
        model.parameters(), **options
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    hub = MessageHub.get_instance(f'miniature_{data}_{tail}_{method}_{seed}')
    hub.update_info('max_iters', STEPS)
    generator = torch.Generator().manual_seed(seed)
    samples = [DataSample() for _ in range(BATCH)]
    records = []
    for step in range(STEPS + 1):
        if step in RECORDED:
            record = measure(model.eval(), images, bank, held_out)
            records.append(dict(step=step, **record))
        if step == STEPS:
            return records
        hub.update_info('iter', step)
        rows = torch.randperm(len(images), generator=generator)[:BATCH]
        views = [augment(images[rows], generator) for _ in range(2)]
        losses = model.train().loss(views, samples)
        total = sum(v for k, v in losses.items() if k.startswith('loss'))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        schedule.step()


def measure(model, images, bank, held_out) -> dict:
    """Return kNN accuracy, and the use of the prototypes by the images."""
    embeddings = embed_images(model, images)[1]
    (prototypes,) = model.prototype_sets()
    features = [embed_images(model, x[0])[0] for x in (held_out, bank)]
    predicted = knn_predict(*features, bank[1], 10, 20)[20]
    hits = (predicted == held_out[1]).double().mean().item()
    usage = prototype_usage(prototypes.vectors, embeddings, EPSILONS)
    return dict(knn=hits, **usage)


def table(results: dict) -> str:
    """Tabulate the last step: mean and standard deviation over the seeds."""
    rows = []
    for (data, tail, method), by_seed in results.items():
        last = [records[-1] for records in by_seed.values()]
        cells = [
            summary_text(mean_and_deviation([value(r) for r in last]), 1)
            for value in _COLUMNS.values()
        ]
        label = METHODS[method].label
        rows.append([data, tail, label, str(len(by_seed)), *cells])
    header = ['data', 'training set', 'method', 'seeds', *_COLUMNS]
    return markdown_table(header, rows)


def main(argv: list[str] | None = None) -> None:
    """Train what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data', nargs='+', default=['digits'], choices=DATA)
    parser.add_argument('--tails', nargs='+', default=TAILS, choices=TAILS)
    parser.add_argument('--methods', nargs='+', default=METHODS)
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--out', type=Path, default='work_dirs/miniature')
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    init_default_scope('mmpretrain')
    MMLogger.get_instance('miniature', log_level='WARNING')
    results: dict = {}
    for seed in args.seeds:
        for data in args.data:
            for tail in args.tails:
                for method in args.methods:
                    name = f'{data}-{tail}_{method}_seed{seed}.json'
                    path = args.out / name
                    if not path.is_file():
                        records = train(data, tail, method, seed)
                        write_text(path, json.dumps(records))
                        print(name, records[-1], flush=True)
                    key = data, tail, method
                    found = json.loads(path.read_text(encoding='utf-8'))
                    results.setdefault(key, {})[seed] = found
    write_text(args.out / 'miniature.md', table(results) + '\n')
    print(table(results))


if __name__ == '__main__':
    main()
