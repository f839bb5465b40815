# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Compare clusters of centre crops with those of a training epoch's keys.

The momentum encoder of a checkpoint of pauc_tiny_mnist embeds the 4,000
training images as the E-step does (as they are, BatchNorm in eval mode), and
as a momentum bank holds them (augmented, BatchNorm with the statistics of
the batch). k-means clusters either; purity and adjusted mutual information
with the classes, which no training sees, say how good the clusters are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from _harness import Report, get_parser, parse
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS, MODELS

import pauc_mm  # noqa: F401
from pauc_mm.clustering import FaissKMeans
from pauc_mm.models import embed_images

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs/pauc/pauc_tiny_mnist.py'
BATCH = 128


def load(checkpoint: str | None, small: bool):
    """Return the model, the images, views of them, and the classes."""
    init_default_scope('mmpretrain')
    cfg = Config.fromfile(str(CONFIG))
    cfg.model.data_preprocessor = cfg.data_preprocessor
    model = MODELS.build(cfg.model)
    if checkpoint:
        state = torch.load(checkpoint, map_location='cpu', weights_only=True)
        model.load_state_dict(state['state_dict'])
    cfg.train_dataloader.dataset.indices = 512 if small else 4000
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    clean = torch.stack(
        [torch.from_numpy(info['img'].copy()) for info in infos]
    ).permute(0, 3, 1, 2)
    pairs = [[s['inputs'] for s in dataset] for _ in range(2)]
    views = [
        torch.stack([p[v] for p in pair]) for pair in pairs for v in (0, 1)
    ]
    return model, clean, views, np.array([i['gt_label'] for i in infos])


def embed(model, images, training: bool) -> torch.Tensor:
    """Compute momentum embeddings (N, D) in random batches."""
    # Keep the running statistics of the checkpoint.
    state = {k: v.clone() for k, v in model.state_dict().items()}
    model.train(training)
    order = torch.randperm(len(images))
    rows = [
        embed_images(model, (images[part] - 127.5) / 127.5, momentum=True)[1]
        for part in order.split(BATCH)
    ]
    model.load_state_dict(state)
    return torch.cat(rows)[order.argsort()]


def main(argv=None) -> None:
    """Measure and print."""
    from sklearn.metrics import adjusted_mutual_info_score

    parser = get_parser(__doc__, repeats=1)
    parser.add_argument(
        'checkpoint', nargs='?', help='of pauc_tiny_mnist; none is untrained'
    )
    args = parse(parser, argv)
    if args.checkpoint and not Path(args.checkpoint).is_file():
        parser.error(f'there is no checkpoint {args.checkpoint}.')
    torch.manual_seed(args.seed)
    model, clean, views, labels = load(args.checkpoint, args.small)
    exact = embed(model, clean, training=False)
    keys = [embed(model, view, training=True) for view in views]
    sources = {
        "images as they are, eval mode: 'extract'": exact,
        'images as they are, training mode': embed(model, clean, True),
        'one view, eval mode': embed(model, views[0], False),
        "one view, training mode: 'momentum_bank'": keys[0],
        'mean of two such views': F.normalize(keys[0] + keys[1], dim=1),
        'mean of four such views': F.normalize(sum(keys), dim=1),
    }
    report = Report('Clusters from either source of embeddings', args)
    clusters = (10, 20) if args.small else (50, 100, 250)
    header = ['embeddings of', 'cosine to the first']
    header += [f'K={k} {x}' for k in clusters for x in ('purity', 'AMI')]
    rows = []
    for name, embeddings in sources.items():
        row = [name, float((embeddings * exact).sum(dim=1).mean())]
        for k in clusters:
            ids = FaissKMeans().fit(embeddings.numpy(), k, 0).assignments
            largest = [np.bincount(labels[ids == c]).max() for c in set(ids)]
            row.append(float(sum(largest) / len(labels)))
            row.append(float(adjusted_mutual_info_score(labels, ids)))
        rows.append([row[0]] + [f'{x:.3f}' for x in row[1:]])
    report.table(f'{len(labels)} MNIST images', header, rows)
    report.save()


if __name__ == '__main__':
    main()
