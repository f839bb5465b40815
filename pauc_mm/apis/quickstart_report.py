# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""``tools/analysis/quickstart_report.py``: before and after pretraining."""

import json
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from mmengine.config import Config

from pauc_mm.embedding.dataset import embed_dataset
from pauc_mm.engine.whole_checkpoints import last_whole
from pauc_mm.utils.files import write_json
from pauc_mm.visualization import plot_embedding_maps, tsne_map

from .arguments import Parser
from .config import build_runner, find_config, set_dataloader_defaults

DESCRIPTION = """\
Print a table and draw a picture of a model before and after pretraining.
"""
# Metric, name, and how to read it.
ROWS = (
    ('knn/k20', 'kNN accuracy, k=20', 'frozen features; higher is better'),
    ('knn/k200', 'kNN accuracy, k=200', 'higher is better'),
    ('nemd/value', 'NEMD between classes', 'not a score: read with the next'),
    ('nemd/uniformity', 'uniformity', '0 is collapse; lower is more uniform'),
    ('nemd/intra_variance', 'variance within a class', 'near 0: points'),
    ('nemd/effective_rank', 'effective rank', 'low: dimensional collapse'),
    ('nemd/unique_share', 'unique class prototypes', 'low: many are copies'),
)


def evaluate(
    config: str, work_dir: str, checkpoint: str | None = None
) -> tuple[dict, np.ndarray, np.ndarray, list[str]]:
    """Evaluate and embed the test set of a config.

    Without a checkpoint the model is untrained, with the weights from which
    the run with this seed starts.

    Returns:
        tuple: Metrics, embeddings, float32, shape (N, D), labels, int64, shape
        (N,), and class names.
    """
    cfg = Config.fromfile(config)
    cfg.work_dir = str(Path(work_dir) / 'report')
    cfg.load_from = checkpoint
    cfg.log_level = 'WARNING'
    cfg.launcher = 'none'
    cfg.experiment_name = 'trained' if checkpoint else 'untrained'
    set_dataloader_defaults(cfg)
    runner = build_runner(cfg)
    if checkpoint is None:
        runner.model.init_weights()
    metrics = runner.test()
    dataset = runner.test_dataloader.dataset
    _, embeddings = embed_dataset(
        runner.model, dataset, batch_size=256, features=False
    )
    labels = np.array(dataset.get_gt_labels())
    return metrics, embeddings.numpy(), labels, dataset.metainfo['classes']


def format_table(before: dict, after: dict) -> str:
    """Return the metrics of :data:`ROWS` as a text table."""
    lines = [
        f'{"measure":<26}{"untrained":>10}{"trained":>10}   how to read it',
        '-' * 92,
    ]
    lines += [
        f'{name:<26}{before[key]:>10.4f}{after[key]:>10.4f}   {meaning}'
        for key, name, meaning in ROWS
        if key in before
    ]
    return '\n'.join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate, draw and print, or print again what is up to date."""
    parser = Parser(DESCRIPTION, '')
    value = partial(parser.value, required=True)
    value('--config CFG', str, 'config with a test loop')
    value('--work-dir DIR', str, 'folder of the run, and of the report')
    args = parser.parse_args(argv)
    config = find_config(args.config, parser)
    checkpoint = last_whole(Path(args.work_dir), logging.getLogger())
    if checkpoint is None:
        raise FileNotFoundError(
            f'There is no checkpoint in {args.work_dir}: train first with '
            f'python tools/train.py {args.config} --work-dir {args.work_dir}'
        )
    stored = Path(args.work_dir) / 'quickstart_report.json'
    picture = Path(args.work_dir) / 'embedding.png'
    stamp = [str(checkpoint), Path(checkpoint).stat().st_mtime]
    report = json.loads(stored.read_text()) if stored.is_file() else {}
    if report.get('checkpoint') != stamp or not picture.is_file():
        before, untrained, labels, names = evaluate(config, args.work_dir)
        after, trained, *_ = evaluate(config, args.work_dir, checkpoint)
        print('Drawing the embeddings by t-SNE ...', flush=True)
        maps = {
            'untrained': tsne_map(untrained),
            'after pretraining without labels': tsne_map(trained),
        }
        title = f'Embeddings of {len(labels)} held-out images (t-SNE)'
        plot_embedding_maps(maps, labels, names, picture, title)
        report = dict(checkpoint=stamp, untrained=before, trained=after)
        write_json(stored, report)
    print(format_table(report['untrained'], report['trained']))
    print(f'\nmetrics: {stored.absolute()}')
    print(f'picture: {picture.absolute()}')
