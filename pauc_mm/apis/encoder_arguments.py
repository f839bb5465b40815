# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The options of every tool that embeds images with a checkpoint."""

from __future__ import annotations

import argparse


def add_encoder_arguments(parser: argparse.ArgumentParser) -> None:
    """Add options that say which network, and how images go through it.

    Args:
        parser (ArgumentParser): Changed in place.
    """
    add = parser.add_argument
    add(
        '--config',
        metavar='CFG',
        help="the model's config, where the checkpoint has none",
    )
    add(
        '--momentum',
        action='store_true',
        help='take the momentum encoder (key encoder, target, teacher)',
    )
    add(
        '--image-size',
        type=int,
        metavar='PIXELS',
        help="side of the centre crop; the config's, or 224",
    )
    add(
        '--corrupt',
        choices=['error', 'skip', 'unchecked'],
        default='error',
        help='what to do with images that do not decode (%(default)s)',
    )
    add('--batch-size', type=int, default=64, metavar='N', help='%(default)s')
    add(
        '--workers',
        type=int,
        default=0,
        metavar='N',
        help='processes that load images (%(default)s)',
    )
    add('--device', choices=['auto', 'cpu', 'cuda'], default='auto')
    add('--seed', type=int, default=0, help='of all draws (%(default)s)')
    add(
        '--trust-checkpoint',
        action='store_true',
        help='load files that need more than plain tensors. Such a file can '
        'run any code: only if you know where it comes from',
    )
