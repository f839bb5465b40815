# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Time a linear probe on cached features: many learning rates at once."""

from __future__ import annotations

import torch
from _harness import Report, get_parser, interleave, parse, positive
from _memory import peak_memory_in_subprocess

from pauc_mm.transfer import ProbeOptions, fit_linear_probe
from pauc_mm.transfer.probe_training import (
    LEARNING_RATES,
    train_classifiers,
)

TEST = 2000


def make_data(images, dim, classes, noise, seed):
    """Return features as after a ReLU, a direction a class, and labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (images,), generator=generator)
    centres = torch.randn(classes, dim, generator=generator)
    features = torch.empty(images, dim)
    for start in range(0, images, TEST):
        rows = slice(start, start + TEST)
        part = features[rows]
        torch.randn(part.shape, generator=generator, out=part)
        part.mul_(noise).add_(centres[labels[rows]]).relu_()
    return features, labels


def probe(data, rates, epochs, device):
    """Select a rate, and train again on all images."""
    options = ProbeOptions(learning_rates=rates, epochs=epochs)
    return fit_linear_probe(*data, options, device=device)


def from_nothing(sizes, rates, epochs, device):
    """Make features and fit a probe, so that their memory counts."""
    return probe(make_data(*sizes), rates, epochs, device)


def given(*args):
    """Return the arguments: nothing is prepared."""
    return args


def run_given(args):
    """Call :func:`from_nothing` with the arguments."""
    return from_nothing(*args)


def train(data, rates, epochs, device):
    """Train some rates once, without the selection."""
    features, labels = data
    options = ProbeOptions(learning_rates=rates, epochs=epochs)
    return train_classifiers(
        features,
        labels,
        torch.arange(len(labels)),
        int(labels.max()) + 1,
        options.grid,
        options,
        device,
    )


def main(argv=None) -> None:
    """Measure and print."""
    parser = get_parser(__doc__, repeats=1)
    parser.set_defaults(warmup=0)
    add = parser.add_argument
    add('--images', type=positive, default=50_000, metavar='N')
    add('--dim', type=positive, default=2048, metavar='C')
    add('--classes', type=positive, default=100, metavar='K')
    add('--noise', type=float, default=12.0, help='of the features')
    add('--epochs', type=positive, metavar='N', help="the probe's own")
    args = parse(parser, argv)
    if args.small:
        args.images, args.dim, args.classes = 3000, 32, 10
        args.epochs = args.epochs or 2
    if args.classes < 2 or args.images < 2 * args.classes:
        parser.error('--classes must be >= 2, and --images twice as many.')
    sizes = (args.images, args.dim, args.classes, args.noise, args.seed)
    test_sizes = (args.images + TEST, *sizes[1:])
    features, labels = make_data(*test_sizes)
    data = features[: args.images].clone(), labels[: args.images].clone()
    test = features[args.images :].clone(), labels[args.images :].clone()
    del features
    report = Report('A linear probe on cached features', args)
    name = f'{len(LEARNING_RATES)} rates at once, one chosen, trained again'
    selected = {}

    def whole():
        selected['probe'] = probe(
            data, LEARNING_RATES, args.epochs, args.device
        )

    epochs = args.epochs
    timings = interleave(
        {name: whole}, args.repeats, args.warmup, args.device, progress='whole'
    )
    best = selected['probe']
    epochs = best.epochs
    timings['one rate alone, one epoch'] = interleave(
        {'one': lambda: train(data, [0.01], 1, args.device)},
        args.repeats,
        args.warmup,
        args.device,
        progress='one rate',
    )['one']
    timings[f'{len(LEARNING_RATES)} rates at once, one epoch'] = interleave(
        {'all': lambda: train(data, LEARNING_RATES, 1, args.device)},
        args.repeats,
        args.warmup,
        args.device,
        progress='all rates',
    )['all']
    peak = None
    if not args.skip_memory:
        peak = {
            name: peak_memory_in_subprocess(
                given,
                run_given,
                sizes,
                LEARNING_RATES,
                1,
                args.device,
                warm_args=((200, 8, 2, 1.0, 0), (0.1, 0.2), 1, args.device),
                threads=args.threads,
                small=args.small,
            )
        }
    report.timings(
        f'N = {args.images}, C = {args.dim}, K = {args.classes}, {epochs} '
        'epochs; memory with the features, one epoch',
        timings,
        'one rate alone, one epoch',
        peak=peak,
    )
    top = best.probe.accuracies(*test)[1]
    report.table(
        'selected probe',
        ['learning rate', 'accuracy, held out', 'accuracy, test'],
        [[best.learning_rate, max(best.held_out_accuracies), top]],
    )
    report.note(
        'Rates one after the other take as many times the row of one rate as '
        'there are rates.'
    )
    report.save()


if __name__ == '__main__':
    main()
