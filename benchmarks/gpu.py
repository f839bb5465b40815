# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measure on a GPU what a training on ImageNet costs, in ten minutes at most.

A training step of PAUC against MoCo v2, k-means of all embeddings, NEMD's
solvers, what the loader leaves to the GPU, and the tests that need one. Each
part has its own time limit; where one fails, the others go on.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Seconds at most, and the command line; ten minutes in all.
PARTS = {
    'tests': (
        60,
        '-m pytest -q -m "not program" -k gpu tests/test_models '
        'tests/test_clustering/test_mixture',
    ),
    'train_step': (
        130,
        'train_step.py --sets in1k --batch 256 --amp bfloat16 --repeats 10 '
        '--part-repeats 10 --skip-memory',
    ),
    'sharded_kmeans': (250, 'sharded_kmeans.py'),
    'nemd': (80, 'nemd.py --repeats 3'),
    'loading': (80, 'loading.py --repeats 5 --batch 256'),
}


def main(argv=None) -> int:
    """Run the parts; returns how many failed."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        '--out',
        default=os.environ.get('OUT', 'work_dirs/gpu'),
        metavar='DIR',
        help='folder of the tables (*.md) and raw values (*.json)',
    )
    add('--device', choices=['cuda', 'cpu'], default='cuda')
    add('--small', action='store_true', help='toy sizes')
    add('--parts', nargs='+', choices=list(PARTS), default=list(PARTS))
    args = parser.parse_args(argv)
    out = Path(args.out).absolute()
    out.mkdir(parents=True, exist_ok=True)
    failed = []
    for name in args.parts:
        start = time.monotonic()
        status = run_part(name, args, out)
        seconds = time.monotonic() - start
        print(f'{name}: {status}, {seconds:.0f} s', flush=True)
        if status != 'done':
            failed.append(name)
    print(f'Tables and logs are in {args.out}.')
    return len(failed)


def run_part(name: str, args: argparse.Namespace, out: Path) -> str:
    """Run a part; returns 'done' or what went wrong."""
    limit, line = PARTS[name]
    command = [sys.executable, *shlex.split(line)]
    if command[1] != '-m':
        command[1] = str(HERE / command[1])
        command += [
            '--device',
            args.device,
            '--out',
            str(out / f'{name}.json'),
        ]
        if args.small:
            command += ['--small', '--repeats', '1', '--warmup', '0']
    paths = [str(HERE.parent), os.environ.get('PYTHONPATH', '')]
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, paths)))
    with (
        open(out / f'{name}.md', 'w') as table,
        open(out / f'{name}.log', 'w') as log,
    ):
        try:
            code = subprocess.run(
                command,
                cwd=HERE.parent,
                env=env,
                stdout=table,
                stderr=log,
                timeout=limit,
            ).returncode
        except subprocess.TimeoutExpired:
            return f'stopped at its limit of {limit} s'
    return 'done' if code == 0 else f'failed, see {name}.log'


if __name__ == '__main__':
    sys.exit(main())
