# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Measure strong and weak scaling of the E-step by phase."""

from __future__ import annotations

import contextlib
import statistics

from _harness import Report, get_parser, parse, positive, say
from _processes import Group

PHASES = ('embed', 'cluster', 'rest', 'total')


def work(num_images, clusters, options):
    """Run an E-step in this process; return its peak memory in MiB."""
    # Imported here: the main process does not need it.
    from _e_step import timed_e_step
    from _memory import MIB, PeakMeter

    meter = PeakMeter()
    seconds = timed_e_step(num_images, clusters, options)
    host = meter.host()
    return dict(seconds, peak=(meter.device() or host) / MIB)


def slowest(ranks):
    """Return the time of each phase on the slowest rank."""
    return {name: max(rank[name] for rank in ranks) for name in ranks[0]}


def measure(groups, settings, args):
    """Run the settings in turn; return medians by setting and phase."""
    runs = {name: [] for name in settings}
    options = vars(args)
    for turn in range(args.warmup + args.repeats):
        for name, (world_size, num_images, clusters) in settings.items():
            ranks = groups[world_size].run(num_images, clusters, options)
            if turn >= args.warmup:
                runs[name].append(slowest(ranks))
        say(f'round {turn + 1}/{args.warmup + args.repeats}')
    return {
        name: {
            key: statistics.median(run[key] for run in each) for key in each[0]
        }
        for name, each in runs.items()
    }


def scaling_rows(one, other, setting, many_setting):
    """Return rows of seconds, speed-up and efficiency of each phase."""
    _, images, clusters = setting
    world_size, images_of_many, clusters_of_many = many_setting
    growth = images_of_many / images
    work = dict(
        embed=growth,
        cluster=growth * sum(clusters_of_many) / sum(clusters),
        rest=growth,
    )
    # The rest is done by every process.
    share = dict(embed=1 / world_size, cluster=1 / world_size, rest=1.0)
    phases = PHASES[:-1]
    seconds = {phase: work[phase] * one[phase] for phase in phases}
    work['total'] = sum(seconds.values()) / one['total']
    best = {phase: 1 / share[phase] for phase in phases}
    best['total'] = sum(seconds.values()) / sum(
        seconds[phase] * share[phase] for phase in phases
    )
    rows = []
    for phase in PHASES:
        speed_up = work[phase] * one[phase] / other[phase]
        rows.append(
            [
                phase,
                one[phase],
                other[phase],
                work[phase],
                speed_up,
                best[phase],
                f'{100 * speed_up / world_size:.0f}%',
            ]
        )
    return rows


def main(argv=None):
    """Measure and print."""
    parser = get_parser(__doc__, repeats=3)
    parser.set_defaults(threads=1)
    add = parser.add_argument
    add('--processes', type=positive, default=2, help='beside 1')
    add('--images', type=positive, default=20000, help='N of one process')
    add(
        '--clusters',
        type=positive,
        nargs='+',
        default=[250, 500, 1000],
        help='K of each clustering in one process',
    )
    add('--niter', type=positive, default=20, help='iterations of k-means')
    add('--backbone', choices=['tiny', 'resnet18'], default='tiny')
    add('--image-size', type=positive, default=32, help='pixels')
    add('--batch', type=positive, default=256, help='images')
    args = parse(parser, argv)
    if args.processes < 2:
        parser.error('--processes must be >= 2: 1 is measured beside it.')
    if args.small:
        args.images, args.clusters, args.niter = 600, [8, 16, 24], 2
    if args.images < max(args.clusters):
        parser.error('--images must be >= the largest of --clusters.')
    many, images, clusters = args.processes, args.images, tuple(args.clusters)
    settings = {
        'one': (1, images, clusters),
        'strong': (many, images, clusters),
        'weak': (many, images * many, tuple(k * many for k in clusters)),
    }
    report = Report('Scaling of the E-step', args)
    report.note(
        f'{args.backbone} at {args.image_size} pixels, D = 128, k-means with '
        f'{args.niter} iterations from one start; {args.threads} thread(s) '
        'a process; the time of a phase is that of the slowest process. Work '
        'is that of N images and N times K distances, against 1 process. The '
        'best speed-up is that of equal processors: the rest is done by '
        'every process. One process takes FaissKMeans, several ShardedKMeans.'
    )
    with contextlib.ExitStack() as stack:
        groups = {
            size: stack.enter_context(
                Group(work, size, args.threads, args.device, args.small)
            )
            for size in (1, many)
        }
        values = measure(groups, settings, args)
    for kind in ('strong', 'weak'):
        _, num_images, num_clusters = settings[kind]
        report.table(
            f'{kind.capitalize()} scaling: N = {images}, K = {list(clusters)} '
            f'in 1 process; N = {num_images}, K = {list(num_clusters)} in '
            f'{many}',
            [
                'phase',
                '1 process s',
                f'{many} processes s',
                'work',
                'speed-up',
                'best',
                'efficiency',
            ],
            scaling_rows(
                values['one'], values[kind], settings['one'], settings[kind]
            ),
        )
    report.table(
        'Peak memory of a process',
        ['', 'MiB', 'clusters used'],
        [[name, f['peak'], int(f['used'])] for name, f in values.items()],
    )
    report.save()


if __name__ == '__main__':
    main()
