# Copyright (c) pauc_mm contributors. SPDX-License-Identifier: Apache-2.0
"""Write the encoder of a checkpoint in the form of another program."""

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import torch
from mmengine.config import Config

from pauc_mm.checkpoints.checkpoint import Checkpoint
from pauc_mm.checkpoints.file import checkpoint_file
from pauc_mm.checkpoints.layouts import Names
from pauc_mm.checkpoints.weights import check_finite
from pauc_mm.compat.atomic_backend import AtomicBackend
from pauc_mm.utils.checks import check_choice
from pauc_mm.utils.files import check_output
from pauc_mm.version import __version__

from .equality import Agreement, compare_outputs
from .mmpretrain_format import mmpretrain_plan
from .onnx_format import onnx_plan
from .plan import Plan, Source, weights_file
from .timm_format import WEIGHTS, timm_plan
from .torchvision_format import PREFIX_OF_MOCO, torchvision_plan

FORMATS: dict[str, Callable[..., Plan]] = dict(
    mmpretrain=mmpretrain_plan,
    torchvision=torchvision_plan,
    moco=partial(torchvision_plan, prefix=PREFIX_OF_MOCO),
    timm=timm_plan,
    huggingface=partial(timm_plan, hub=True),
    onnx=onnx_plan,
)
"""Plans by the names of the formats."""


@dataclass(frozen=True)
class Exported:
    """Result of an export.

    Attributes:
        path (Path): The new file, or the folder.
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


def export(
    source: str | os.PathLike,
    destination: str | os.PathLike,
    to: str,
    momentum: bool = False,
    config: str | Config | None = None,
    trust: bool = False,
    layout: str | None = None,
    prefix: str | None = None,
    measures: str | os.PathLike | None = None,
    force: bool = False,
) -> Exported:
    """Write an encoder for another program, if that computes the same.

    The network that the source's project builds and the one that the reader
    of the new file builds are given the same images.

    Args:
        source (str or PathLike): The checkpoint.
        destination (str or PathLike): The file to write, for 'huggingface'
            the folder. A file that ends in '.safetensors' is one.
        to (str): A name of :data:`FORMATS`.
        momentum (bool): Whether the momentum encoder is taken.
        config (str or Config, optional): Config whose model.backbone is the
            source's network, in place of the checkpoint's own or of what is
            assumed from the weights.
        trust (bool): Whether the source may run code when it is loaded.
        layout (str, optional): See :meth:`.Checkpoint.open`.
        prefix (str, optional): See :meth:`.Checkpoint.open`.
        measures (str or PathLike, optional): JSON of a diagnosis or an
            evaluation, for the model card of 'huggingface'.
        force (bool): Whether the destination may exist.

    Returns:
        Exported: What was written. Its 'meta' is the origin.

    Raises:
        ImportError: If the format needs a package that is not installed.
        OSError: If the source cannot be read, or the destination written.
        ValueError: If the source has no such network, or not all of it, the
            format cannot hold it, or an option does not fit.
        RuntimeError: If the two networks' outputs differ.
    """
    check_choice('--to', to, tuple(FORMATS))
    if prefix is not None and (layout is not None or momentum):
        raise ValueError(
            '--prefix names the network itself: leave out --layout and '
            '--momentum.'
        )
    path = _check_destination(source, destination, to, force)
    make_plan = FORMATS[to]
    if measures is not None:
        if to != 'huggingface':
            raise ValueError(
                f"--measures '{measures}' is for the model card of --to "
                f'huggingface: --to {to} writes none.'
            )
        make_plan = partial(make_plan, measures=measures)
    checkpoint = Checkpoint.open(source, config, trust, layout, prefix)
    weights = checkpoint.backbone_weights(momentum)
    check_finite(weights, checkpoint.path)
    with torch.random.fork_rng(devices=[]):
        read = Source(checkpoint, weights, momentum)
        plan = make_plan(read)
    agreement = compare_outputs(
        plan.reference or read.network,
        plan.converted,
        read.channels,
        read.size,
        plan.tolerance,
    )
    names = checkpoint.names(momentum)
    kind = re.split('[-/]', read.name)[0]  # 'ResNet' or 'ViT'
    described = checkpoint.layout.describe(checkpoint.weights, kind)
    described = described.removesuffix(f' {kind}')
    file = Path(checkpoint.path)
    meta = dict(
        source=file.name,
        source_sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        layout=described,
        network=names.backbone.rstrip('.') or 'the whole file',
        momentum_encoder=momentum,
        architecture=read.name,
        format=to,
        pauc_mm_version=__version__,
        torch_version=str(torch.__version__),
        date=datetime.now(timezone.utc).isoformat(timespec='seconds'),
    )
    known = [*meta, 'epoch']
    meta.update(epoch=checkpoint.epoch, backbone=plan.backbone)
    if 'source_sha256' in checkpoint.meta:
        meta['previous'] = _earlier(checkpoint.meta, known)
    notes = [*read.notes, *plan.notes]
    meta['notes'] = notes or None
    meta['cfg'] = read.text  # as mmengine
    meta = {key: value for key, value in meta.items() if value is not None}
    if plan.write is not None:
        files = plan.write(path, meta)
    else:
        files = {'': weights_file(path, plan.state, meta)}
    for name, content in files.items():
        AtomicBackend().put(content, path / name if name else path)
    kept = names if to == 'onnx' else Names(names.backbone)
    notes = [*checkpoint.notes, *checkpoint.left_out(kept), *notes]
    load = "torch.load('{path}')['state_dict']"
    if path.suffix == '.safetensors':
        load = "safetensors.torch.load_file('{path}')"
    usage = plan.usage.replace('{load}', load).replace('{path}', str(path))
    return Exported(
        path=path,
        described=f'{described}, {read.name}',
        num_tensors=len(plan.state),
        agreement=agreement,
        meta=meta,
        usage=usage,
        notes=list(dict.fromkeys(notes)),
    )


def _check_destination(
    source: str | os.PathLike,
    destination: str | os.PathLike,
    to: str,
    force: bool,
) -> Path:
    """Refuse a destination before any work is done for it."""
    path = Path(destination).expanduser()
    is_folder = to == 'huggingface'
    check_output(path, 'DST', is_folder)
    if path.suffix == '.safetensors' and to not in ('torchvision', 'timm'):
        raise ValueError(
            f"DST '{path}': --to {to} does not write safetensors, which its "
            'readers do not take. Name a file such as backbone.pth.'
        )
    source = checkpoint_file(source)
    written = path / WEIGHTS if is_folder else path
    if written.exists() and source.exists() and written.samefile(source):
        raise ValueError(
            f"'{written}' is the file to convert: write to another one."
        )
    taken = any(path.iterdir()) if path.is_dir() else path.exists()
    if taken and not force:
        what = 'is not empty' if is_folder else 'exists'
        raise FileExistsError(
            f"'{path}' {what}: name another one, or replace what is there "
            'with --force (force=True).'
        )
    return path


def _earlier(meta: dict, keys: list[str], depth: int = 8) -> dict:
    """Copy the origin in a file, and nothing else that is written there."""
    earlier = {k: meta[k] for k in keys if isinstance(meta.get(k), (str, int))}
    if depth and isinstance(meta.get('previous'), dict):
        earlier['previous'] = _earlier(meta['previous'], keys, depth - 1)
    return earlier
