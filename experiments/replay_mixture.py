# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Replay a training's embeddings to mixtures with other options.

Trains decoupled CARP on the digits once and keeps the teacher's embeddings of
all steps in the folder. Each mixture then learns from the same stream, which
takes seconds; how the encoder would answer other prototypes it cannot show.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F

import pauc_mm  # noqa: F401  (registers; makes pauc_mm:: paths resolve)
from experiments.decoupled import study_run
from experiments.runner import UniqueSharesHook
from experiments.runner.prototype_usage import prototype_usage
from experiments.runner.unique_shares_hook import EPSILONS
from pauc_mm.apis import config as cli
from pauc_mm.clustering import OnlineGaussianMixture
from pauc_mm.evaluation.functional.unique_prototypes import unique_prototypes
from pauc_mm.utils.files import write_text
from pauc_mm.utils.tables import markdown_table

_DIRECTIONS = dict(init='directions')
# Options, and the step at which the mixture begins.
VARIANTS = [
    (_DIRECTIONS, 0),
    *((dict(_DIRECTIONS, eta=eta), 0) for eta in (0.95, 0.9, 0.8)),
    *(
        (dict(_DIRECTIONS, eta=eta, min_variance=floor), 0)
        for eta, floor in (
            (0.99, 1e-3),
            (0.99, 3e-3),
            (0.9, 5e-4),
            (0.9, 1e-3),
            (0.8, 1e-3),
            (0.8, 2e-3),
            (0.6, 1e-3),
        )
    ),
    *(
        (dict(_DIRECTIONS, eta=eta, start_temperature=t, annealing_steps=n), 0)
        for eta, t, n in (
            (0.99, 8.0, 440),
            (0.99, 64.0, 440),
            (0.9, 2.0, 440),
            (0.9, 4.0, 220),
        )
    ),
    (dict(init='random'), 132),
    (dict(init='random'), 440),
    (dict(init='random', eta=0.9), 132),
    (dict(init='random', min_variance=1e-3), 132),
]


def record(folder: Path, seed: int, epochs: int | None) -> dict:
    """Train, and return ``stream`` (T, N, D) and ``images`` (n, D)."""
    run = study_run('digits', 'balanced', 'decoupled', seed, epochs)
    cfg = run.load()
    cfg.work_dir, cfg.launcher = str(folder), 'none'
    cli.set_dataloader_defaults(cfg)
    runner = cli.build_runner(cfg)
    stream, prototypes = [], runner.model.prototypes
    learn = prototypes.learn

    def learn_and_keep(embeddings):
        stream.append(embeddings.clone())
        learn(embeddings)

    prototypes.learn = learn_and_keep
    runner.train()
    (hook,) = (h for h in runner.hooks if isinstance(h, UniqueSharesHook))
    images = F.normalize(hook.embed(runner, features=False)[1].float(), dim=1)
    return dict(stream=torch.stack(stream), images=images)


def replay(recorded: dict, options: dict, start: int, seed: int, k: int):
    """Return the usage of a mixture that learns from the stream."""
    stream = recorded['stream'][start:]
    mixture = OnlineGaussianMixture(k, stream.shape[2], seed=seed, **options)
    for embeddings in stream:
        mixture.update(embeddings)
    return prototype_usage(mixture.means, recorded['images'], EPSILONS)


def main(argv: list[str] | None = None) -> None:
    """Record if there is no record, replay all variants, write a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, default='work_dirs/replay')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--epochs', type=int)
    parser.add_argument('--components', type=int, default=1024)
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f'stream_{args.epochs}_{args.seed}.pt'
    if not path.is_file():
        recorded = record(args.out, args.seed, args.epochs)
        torch.save(recorded, path)
    recorded = torch.load(path, weights_only=True)
    kept = unique_prototypes(recorded['images'], EPSILONS)
    count = len(recorded['images'])
    print(
        f'Of {count} images, apart by the same greedy count: '
        + ', '.join(f'{round(s * count)} at {e:g}' for e, s in kept.items())
    )
    rows = []
    for options, start in VARIANTS:
        usage = replay(recorded, options, start, args.seed, args.components)
        name = ', '.join(f'{key} {value}' for key, value in options.items())
        shares = [usage['unique'], usage['unique_used']]
        cells = [' '.join(f'{100 * x:.1f}' for x in part) for part in shares]
        rows.append([name, str(start), str(usage['used']), *cells])
        print(*rows[-1], sep=' | ', flush=True)
    at = ', '.join(f'{e:g}' for e in EPSILONS)
    header = ['options', 'from step', 'in use', f'unique, %, at {at}']
    table = markdown_table([*header, 'of those in use'], rows)
    write_text(args.out / 'replay.md', table + '\n')


if __name__ == '__main__':
    main()
