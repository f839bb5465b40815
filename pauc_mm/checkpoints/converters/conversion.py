# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Steps that all conversions share: open, check, compare and write."""

import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import torch
from mmengine.config import Config
from torch import nn

from pauc_mm.checkpoints.checkpoint import Checkpoint
from pauc_mm.checkpoints.file import State
from pauc_mm.checkpoints.layouts import Names
from pauc_mm.checkpoints.weights import check_finite, load_all
from pauc_mm.compat.atomic_backend import AtomicBackend
from pauc_mm.utils.files import check_output
from pauc_mm.version import __version__

from .equality import IMAGE_SIZE, Agreement, compare_outputs


@dataclass(frozen=True)
class Plan:
    """Networks of a conversion, and what is written with the weights."""

    reference: nn.Module  # as the source's project builds it
    target: nn.Module  # as the reader of the new file builds it
    architecture: str  # in words
    prefix: str  # of the names in the new file
    usage: str  # code that loads the file '{path}'
    notes: list[str] = field(default_factory=list)  # for the user
    backbone: dict | None = None  # its config, for 'meta'
    config_text: str | None = None  # of the encoder, for 'meta'
    channels: int = 3  # of the images that are compared
    size: int = IMAGE_SIZE  # side of these images, in pixels
    maps: Callable = nn.Module.__call__  # from the target and images to maps


@dataclass(frozen=True)
class Conversion:
    """Result of a conversion.

    Attributes:
        path (Path): The new file.
        described (str): The source in words.
        num_tensors (int): Number of tensors in the new file.
        agreement (Agreement): Differences of the two networks' outputs.
        meta (dict): The origin, as in the file.
        usage (str): Code that loads the file.
        notes (list[str]): Sentences for the user.
    """

    path: Path
    described: str
    num_tensors: int
    agreement: Agreement
    meta: dict
    usage: str
    notes: list[str]


def convert(
    make_plan: Callable[[Checkpoint, State, bool], Plan],
    conversion: str,
    source: str | os.PathLike,
    destination: str | os.PathLike,
    momentum: bool = False,
    config: str | Config | None = None,
    trust: bool = False,
    layout: str | None = None,
    prefix: str | None = None,
    force: bool = False,
) -> Conversion:
    """Convert the backbone of a checkpoint, and write it if outputs agree.

    Args:
        make_plan (callable): From the checkpoint, the backbone's weights and
            ``momentum`` to the plan.
        conversion (str): Name of the conversion, for the file's origin.
        source (str or PathLike): The file to convert.
        destination (str or PathLike): The file to write.
        momentum (bool): Whether the momentum encoder is taken.
        config (str or Config, optional): Config whose model.backbone is the
            source's network, in place of the checkpoint's own or of what is
            assumed from the weights.
        trust (bool): Whether the source may run code when it is loaded.
        layout (str, optional): See :meth:`.Checkpoint.open`.
        prefix (str, optional): See :meth:`.Checkpoint.open`.
        force (bool): Whether the destination may exist.

    Returns:
        Conversion: The file has 'state_dict' and, as its origin, 'meta'.

    Raises:
        OSError: If the source cannot be read, or the destination written.
        ValueError: If the source has no such network, or not all of it, or
            an option does not fit it.
        RuntimeError: If the two networks' outputs differ.
    """
    if prefix is not None and (layout is not None or momentum):
        raise ValueError(
            '--prefix names the network itself: leave out --layout and '
            '--momentum.'
        )
    path = _check_destination(source, destination, force)
    checkpoint = Checkpoint.open(source, config, trust, layout, prefix)
    weights = checkpoint.backbone_weights(momentum)
    check_finite(weights, checkpoint.path)
    with torch.random.fork_rng(devices=[]):
        plan = make_plan(checkpoint, weights, momentum)
    load_all(plan.reference, weights, f"weights of '{checkpoint.path}'")
    load_all(plan.target, weights, 'converted weights')
    plan.reference.eval()
    plan.target.eval()
    converted = partial(plan.maps, plan.target)
    agreement = compare_outputs(
        plan.reference, converted, plan.channels, plan.size
    )
    network = checkpoint.names(momentum).backbone
    described = checkpoint.layout.describe(checkpoint.weights, 'ResNet')
    described = described.removesuffix(' ResNet')
    file = Path(checkpoint.path).expanduser()
    meta = dict(
        source=file.name,
        source_sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        layout=described,
        network=network.rstrip('.') or 'the whole file',
        momentum_encoder=momentum,
        architecture=plan.architecture,
        conversion=conversion,
        pauc_mm_version=__version__,
        torch_version=str(torch.__version__),
        date=datetime.now(timezone.utc).isoformat(timespec='seconds'),
    )
    known = [*meta, 'epoch']
    meta.update(epoch=checkpoint.epoch, backbone=plan.backbone)
    if 'source_sha256' in checkpoint.meta:
        meta['previous'] = _earlier(checkpoint.meta, known)
    meta['notes'] = plan.notes or None
    meta = {key: value for key, value in meta.items() if value is not None}
    state = {plan.prefix + key: value for key, value in weights.items()}
    _write(path, state, meta, plan.config_text)
    left_out = checkpoint.left_out(Names(network))
    return Conversion(
        path=path,
        described=f'{described}, {plan.architecture}',
        num_tensors=len(state),
        agreement=agreement,
        meta=meta,
        usage=plan.usage.replace('{path}', str(path)),
        notes=[*checkpoint.notes, *left_out, *plan.notes],
    )


def _check_destination(
    source: str | os.PathLike, destination: str | os.PathLike, force: bool
) -> Path:
    """Refuse a destination before any work is done for it."""
    path = Path(destination).expanduser()
    check_output(path, 'DST', folder=False)
    source = Path(source).expanduser()
    if path.exists() and source.exists() and path.samefile(source):
        raise ValueError(
            f"'{path}' is the file to convert: write to another one."
        )
    if path.exists() and not force:
        raise FileExistsError(
            f"'{path}' exists: name another file, or replace it with "
            '--force (force=True).'
        )
    return path


def _earlier(meta: dict, keys: list[str], depth: int = 8) -> dict:
    """Copy the origin in a file, and nothing else that is written there."""
    earlier = {k: meta[k] for k in keys if isinstance(meta.get(k), (str, int))}
    if depth and isinstance(meta.get('previous'), dict):
        earlier['previous'] = _earlier(meta['previous'], keys, depth - 1)
    return earlier


def _write(path: Path, state: State, meta: dict, text: str | None) -> None:
    """Write the file, whole or not at all."""
    meta = meta if text is None else dict(meta, cfg=text)  # as mmengine
    # Copies: a tensor that is a view would take its whole storage along.
    weights = {k: v.detach().clone().contiguous() for k, v in state.items()}
    buffer = io.BytesIO()
    torch.save(dict(meta=meta, state_dict=weights), buffer)
    AtomicBackend().put(buffer.getbuffer(), path)
