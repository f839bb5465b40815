# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""The file that a conversion writes, and what it says about its origin."""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import torch

from pauc_mm.compat.atomic_backend import AtomicBackend
from pauc_mm.version import __version__

from .equality import Agreement
from .source import Source, State

_ORIGIN = (
    'source',
    'source_sha256',
    'layout',
    'network',
    'momentum_encoder',
    'architecture',
    'epoch',
    'conversion',
    'pauc_mm_version',
    'torch_version',
    'date',
)


@dataclass(frozen=True)
class Conversion:
    """What was converted.

    Attributes:
        path (Path): The new file.
        described (str): The source in words.
        num_tensors (int): In the new file.
        agreement (Agreement): Of the two networks' outputs.
        meta (dict): The origin, as in the file.
        usage (str): How the file is loaded.
        notes (list[str]): What was left out or guessed.
    """

    path: Path
    described: str
    num_tensors: int
    agreement: Agreement
    meta: dict
    usage: str
    notes: list[str]


def check_destination(
    source: str | os.PathLike,
    destination: str | os.PathLike,
    force: bool,
) -> Path:
    """Refuse a destination before any work is done for it.

    Args:
        source (str or PathLike): The file to convert.
        destination (str or PathLike): The file to write.
        force (bool): Whether it may exist, and is replaced.

    Returns:
        Path: The destination.

    Raises:
        IsADirectoryError: It is a folder.
        NotADirectoryError: What should be its folder is a file.
        FileExistsError: It exists and is not to be replaced.
        ValueError: It is the source.
    """
    path = Path(destination).expanduser()
    if path.is_dir():
        raise IsADirectoryError(
            f"'{path}' is a folder; name the file to write, such as "
            f"'{path / 'backbone.pth'}'."
        )
    folder = next(p for p in path.absolute().parents if p.exists())
    if not folder.is_dir():
        raise NotADirectoryError(
            f"'{path}' cannot be written: '{folder}' is a file."
        )
    if path.exists():
        same = Path(source).expanduser()
        if same.exists() and path.samefile(same):
            raise ValueError(
                f"'{path}' is the file to convert: write to another one."
            )
        if not force:
            raise FileExistsError(
                f"'{path}' exists: name another file, or replace it with "
                '--force (force=True).'
            )
    return path


def describe_origin(
    source: Source, conversion: str, architecture: str
) -> dict:
    """Where weights come from, in plain values and without folders.

    Args:
        source (Source): What was read.
        conversion (str): Name of the conversion.
        architecture (str): The network in words.

    Returns:
        dict: For 'meta' of the new file. If the source was itself converted,
        its own origin is under 'previous'.
    """
    network = source.prefix.rstrip('.') or 'the whole file'
    origin = dict(
        source=Path(source.path).name,
        source_sha256=_sha256(source.path),
        layout=source.described,
        network=network,
        momentum_encoder=source.momentum,
        architecture=architecture,
        conversion=conversion,
        pauc_mm_version=__version__,
        torch_version=str(torch.__version__),
        date=datetime.now(timezone.utc).isoformat(timespec='seconds'),
    )
    if source.epoch is not None:
        origin['epoch'] = source.epoch
    if 'source_sha256' in source.meta:
        origin['previous'] = _earlier(source.meta)
    return origin


def _earlier(meta: dict, depth: int = 8) -> dict:
    """The origin in a file; nothing else that may be written there."""
    earlier = {
        key: meta[key]
        for key in _ORIGIN
        if isinstance(meta.get(key), (str, int))
    }
    if depth and isinstance(meta.get('previous'), dict):
        earlier['previous'] = _earlier(meta['previous'], depth - 1)
    return earlier


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(Path(path).expanduser(), 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_converted(
    path: Path, state: State, meta: dict, text: str | None = None
) -> None:
    """Write a converted checkpoint, whole or not at all.

    Args:
        path (Path): The file; its folder is made if missing.
        state (dict[str, Tensor]): Its weights.
        meta (dict): Its origin.
        text (str, optional): The config of the encoder, which mmengine keeps
            in 'meta' too.
    """
    meta = meta if text is None else dict(meta, cfg=text)
    # Copies: a tensor that is a view would take its whole storage along.
    weights = {k: v.detach().clone().contiguous() for k, v in state.items()}
    buffer = io.BytesIO()
    torch.save(dict(meta=meta, state_dict=weights), buffer)
    AtomicBackend().put(buffer.getbuffer(), path)
